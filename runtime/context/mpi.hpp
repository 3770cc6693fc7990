// SPDX-License-Identifier: Apache-2.0
// MPI calls return their errors; every code passes through check_mpi. Communicators are owned.
#pragma once

#include <string>

#include <mpi.h>

#include "runtime/base/error.hpp"
#include "runtime/base/handle.hpp"

namespace lockstep {

// Throws SystemError with MPI's own text and the call site.
void check_mpi(int code, Site at = Site::here());

// "Open MPI v4.1.4", "MPICH Version: 4.0.2": what stands before the details. May be asked before
// MPI is started.
std::string mpi_library();

// MPI from MPI_Init_thread to MPI_Finalize. Finalize waits for all ranks, so it is left out while
// an exception unwinds: the launcher then sees a rank gone and ends the others.
class MpiSession {
 public:
  MpiSession();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  bool threads_allowed() const { return threads_allowed_; }

 private:
  int exceptions_at_start_;
  bool threads_allowed_ = false;
};

struct CommTraits {
  using type = MPI_Comm;
  static MPI_Comm null() { return MPI_COMM_NULL; }
  static void destroy(MPI_Comm comm) noexcept;
};
using CommHandle = UniqueHandle<CommTraits>;

// A duplicate with MPI_ERRORS_RETURN: own message space, so no two users of MPI share a tag.
CommHandle duplicate(MPI_Comm comm);
// Ranks of equal colour, ordered by key. Collective.
CommHandle split(MPI_Comm comm, int color, int key);
// The ranks that share this node's memory, in the order of their ranks. Collective.
CommHandle split_by_node(MPI_Comm comm);

}  // namespace lockstep
