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

namespace lockstep {

struct BackendEntry {
  const char* name;  // also the label of its operations, unless it chooses among algorithms
  // Collective over `comm`, which it duplicates.
  std::unique_ptr<Backend> (*make)(MPI_Comm comm, const CommunicatorOptions& options);
};

std::span<const BackendEntry> backends();
// ConfigError names collectives.backend and what is allowed.
const BackendEntry& find_backend(std::string_view name);

}  // namespace lockstep
