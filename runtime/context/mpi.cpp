// SPDX-License-Identifier: Apache-2.0
#include "runtime/context/mpi.hpp"

#include <string>

namespace lockstep {

void check_mpi(int code, Site at) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw SystemError("MPI: " + std::string(text) + " (" + at.file + ":" + std::to_string(at.line) +
                    ")");
}

void CommTraits::destroy(MPI_Comm comm) noexcept {
  int finalized = 0;
  if (MPI_Finalized(&finalized) == MPI_SUCCESS && !finalized) MPI_Comm_free(&comm);
}

CommHandle duplicate(MPI_Comm comm) {
  MPI_Comm copy = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(comm, &copy));
  CommHandle owned(copy);
  check_mpi(MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN));
  return owned;
}

CommHandle split(MPI_Comm comm, int color, int key) {
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(comm, color, key, &part));
  CommHandle owned(part);
  check_mpi(MPI_Comm_set_errhandler(part, MPI_ERRORS_RETURN));
  return owned;
}

}  // namespace lockstep
