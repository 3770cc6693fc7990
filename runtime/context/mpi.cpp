// SPDX-License-Identifier: Apache-2.0
#include "runtime/context/mpi.hpp"

#include <exception>
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

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  check_mpi(MPI_Get_library_version(text, &length));
  const std::string all(text, static_cast<std::size_t>(length));
  return all.substr(0, all.find_first_of(",\n"));
}

MpiSession::MpiSession() : exceptions_at_start_(std::uncaught_exceptions()) {
  int initialized = 0, provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Initialized(&initialized));
  expect(!initialized, "MPI has been started before: one Context per process");
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided));
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  threads_allowed_ = provided >= MPI_THREAD_MULTIPLE;
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() == exceptions_at_start_) MPI_Finalize();
}

void CommTraits::destroy(MPI_Comm comm) noexcept {
  int finalized = 0;
  if (MPI_Finalized(&finalized) == MPI_SUCCESS && !finalized) MPI_Comm_free(&comm);
}

namespace {
CommHandle own(MPI_Comm comm) {
  CommHandle owned(comm);
  check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN));
  return owned;
}
}  // namespace

CommHandle duplicate(MPI_Comm comm) {
  MPI_Comm copy = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(comm, &copy));
  return own(copy);
}

CommHandle split(MPI_Comm comm, int color, int key) {
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(comm, color, key, &part));
  return own(part);
}

CommHandle split_by_node(MPI_Comm comm) {
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &part));
  return own(part);
}

}  // namespace lockstep
