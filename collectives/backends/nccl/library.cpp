// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/nccl/library.hpp"

#include <cstdlib>
#include <string>

namespace lockstep::nccl {

std::shared_ptr<const Library> Library::open() {
  // Kept until the process ends: it has threads, and does not like to be closed.
  static const auto* const opened = [] {
    // Groups of several lanes are at work at once: their kernels begin in the order of our
    // launches, the same on all ranks, so that they cannot wait for each other where not all fit on
    // the GPU.
    ::setenv("NCCL_LAUNCH_ORDER_IMPLICIT", "1", 0);
    const char* named = std::getenv("LOCKSTEP_NCCL_LIBRARY");
    const char* file = named && *named ? named : "libnccl.so.2";
    return new std::shared_ptr<const Library>(new Library(file));
  }();
  return *opened;
}

void Library::check(ncclResult_t code, ncclComm_t comm, Site at) const {
  if (code == ncclSuccess || code == ncclInProgress) return;
  const char* last = get_last_error(comm);
  throw SystemError(
      std::string(at.file) + ":" + std::to_string(at.line) + ": NCCL: " + get_error_string(code) +
      (last && *last ? std::string(" (") + last + ")" : "") + "; NCCL_DEBUG=WARN prints more");
}

}  // namespace lockstep::nccl
