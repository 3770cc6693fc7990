// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/table.hpp"

#include <string>

#include "collectives/backends/automatic.hpp"
#include "collectives/backends/gpu.hpp"
#include "collectives/backends/mpi.hpp"
#include "collectives/backends/native.hpp"

namespace lockstep {

namespace {

// Those of the host first.
constexpr BackendEntry kBackends[] = {
    {"auto", automatic::make, gpu::make_auto},   // the cheapest, or the best that there is
    {"native", native::make, gpu::make_native},  // our algorithms over a transport
    {"mpi", mpi::make, gpu::make_mpi},           // the library's own collectives
    {"nccl", nullptr, gpu::make_nccl},
};
constexpr std::size_t kOnHost = 3;

}  // namespace

std::unique_ptr<Backend> BackendEntry::make(MPI_Comm comm, Device& device,
                                            const CommunicatorOptions& options) const {
  return device.kind() == DeviceKind::cuda ? make_on_gpu(comm, device, options)
                                           : make_on_host(comm, options);
}

std::span<const BackendEntry> backends(DeviceKind kind) {
  const std::span<const BackendEntry> all = kBackends;
  return kind == DeviceKind::cpu ? all.first(kOnHost) : all;
}

const BackendEntry& find_backend(std::string_view name, DeviceKind kind) {
  std::string allowed;
  for (const BackendEntry& entry : backends(kind)) {
    if (entry.name == name) return entry;
    (allowed += allowed.empty() ? "" : ", ") += entry.name;
  }
  const bool elsewhere = kind == DeviceKind::cpu && name == "nccl";
  throw ConfigError("collectives.backend = \"" + std::string(name) + "\" is " +
                    (elsewhere ? "for GPUs, and this job's device is the cpu" : "unknown") +
                    "; allowed: " + allowed);
}

}  // namespace lockstep
