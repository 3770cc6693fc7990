// SPDX-License-Identifier: Apache-2.0
// MPI calls return their errors; every code passes through check_mpi. Communicators are owned.
#pragma once

#include <mpi.h>

#include "runtime/base/error.hpp"
#include "runtime/base/handle.hpp"

namespace lockstep {

// Throws SystemError with MPI's own text and the call site.
void check_mpi(int code, Site at = Site::here());

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

}  // namespace lockstep
