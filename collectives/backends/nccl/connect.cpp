// SPDX-License-Identifier: Apache-2.0
// Which ranks NCCL can serve: each needs a GPU of its own, and the library.
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "collectives/backends/nccl/nccl.hpp"
#include "collectives/backends/nccl/session.hpp"
#include "runtime/base/clock.hpp"

namespace lockstep::nccl {

namespace {

// What each rank says of itself before NCCL is asked.
struct Introduction {
  std::array<char, 16> gpu{};  // its number that no other has
  char has_library = 0;
};

std::shared_ptr<const Library> library_if_there() {
  try {
    return Library::open();
  } catch (const SystemError&) {
    return nullptr;
  }
}

Introduction introduction(bool has_library) {
  int gpu = 0;
  check(cudaGetDevice(&gpu));
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, gpu));
  Introduction own;
  static_assert(sizeof properties.uuid.bytes == sizeof own.gpu);
  std::memcpy(own.gpu.data(), properties.uuid.bytes, own.gpu.size());
  own.has_library = has_library;
  return own;
}

int size_of(MPI_Comm comm) {
  int size = 1;
  check_mpi(MPI_Comm_size(comm, &size));
  return size;
}

std::vector<Introduction> introductions(MPI_Comm comm, bool has_library) {
  const Introduction own = introduction(has_library);
  std::vector<Introduction> all(static_cast<std::size_t>(size_of(comm)));
  check_mpi(MPI_Allgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, comm));
  return all;
}

std::string refusal_of(const std::vector<Introduction>& all) {
  for (std::size_t r = 0; r < all.size(); ++r) {
    for (std::size_t s = 0; s < r; ++s) {
      if (all[s].gpu == all[r].gpu) {
        return "ranks " + std::to_string(s) + " and " + std::to_string(r) +
               " share a GPU, and NCCL wants one for each";
      }
    }
  }
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (!all[r].has_library)
      return "rank " + std::to_string(r) +
             " cannot open libnccl.so.2 (load your cluster's module, add its folder to "
             "LD_LIBRARY_PATH, or name the file in LOCKSTEP_NCCL_LIBRARY)";
  }
  return "";
}

}  // namespace

std::string refusal(MPI_Comm comm) {
  if (size_of(comm) == 1) return "";
  return refusal_of(introductions(comm, library_if_there() != nullptr));
}

std::shared_ptr<Comm> connect(MPI_Comm comm, double timeout_seconds) {
  if (size_of(comm) == 1) return nullptr;
  auto library = library_if_there();
  const std::string why = refusal_of(introductions(comm, library != nullptr));
  if (!why.empty()) {
    throw ConfigError("collectives.backend = \"nccl\" cannot serve these ranks: " + why +
                      "; or use \"mpi\"");
  }
  return Comm::make(std::move(library), comm, {now() + timeout_seconds});
}

}  // namespace lockstep::nccl
