// SPDX-License-Identifier: Apache-2.0
// The backends that collectives.backend may name. The dry one is not among them: the device
// decides for it, and it then stands in for the named one.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "collectives/backend.hpp"
#include "collectives/options.hpp"
#include "runtime/context/mpi.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

struct BackendEntry {
  const char* name;  // also the label of its operations, unless it chooses among algorithms
  // Both are collective over `comm`, which they duplicate. For elements in the host's memory (null:
  // it cannot), and in that of a GPU.
  std::unique_ptr<Backend> (*make_on_host)(MPI_Comm comm, const CommunicatorOptions& options);
  std::unique_ptr<Backend> (*make_on_gpu)(MPI_Comm comm, Device& device,
                                          const CommunicatorOptions& options);

  std::unique_ptr<Backend> make(MPI_Comm comm, Device& device,
                                const CommunicatorOptions& options) const;
  std::unique_ptr<Backend> make(MPI_Comm comm, const CommunicatorOptions& options) const {
    return make_on_host(comm, options);
  }
};

// Those that serve a device of that kind; all of them for the dry one.
std::span<const BackendEntry> backends(DeviceKind kind = DeviceKind::cpu);
// ConfigError names collectives.backend and what is allowed.
const BackendEntry& find_backend(std::string_view name, DeviceKind kind = DeviceKind::cpu);

}  // namespace lockstep
