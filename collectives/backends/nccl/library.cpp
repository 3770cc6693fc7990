// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/nccl/library.hpp"

#include <cstdlib>
#include <string>

namespace lockstep::nccl {

std::shared_ptr<const Library> Library::open() {
  const char* named = std::getenv("LOCKSTEP_NCCL_LIBRARY");
  return std::shared_ptr<const Library>(new Library(named && *named ? named : "libnccl.so.2"));
}

void Library::check(ncclResult_t code, ncclComm_t comm, Site at) const {
  if (code == ncclSuccess || code == ncclInProgress) return;
  const char* last = get_last_error(comm);
  throw SystemError(
      std::string(at.file) + ":" + std::to_string(at.line) + ": NCCL: " + get_error_string(code) +
      (last && *last ? std::string(" (") + last + ")" : "") + "; NCCL_DEBUG=WARN prints more");
}

}  // namespace lockstep::nccl
