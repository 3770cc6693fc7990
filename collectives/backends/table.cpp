// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/table.hpp"

#include <string>

#include "collectives/backends/automatic.hpp"
#include "collectives/backends/mpi.hpp"
#include "collectives/backends/native.hpp"

namespace lockstep {

namespace {
constexpr BackendEntry kBackends[] = {
    {"auto", automatic::make},  // the cheapest of the two
    {"native", native::make},   // our algorithms over a transport
    {"mpi", mpi::make},         // the library's own collectives
};
}  // namespace

std::span<const BackendEntry> backends() {
  return kBackends;
}

const BackendEntry& find_backend(std::string_view name) {
  std::string allowed;
  for (const BackendEntry& entry : kBackends) {
    if (entry.name == name) return entry;
    (allowed += allowed.empty() ? "" : ", ") += entry.name;
  }
  throw ConfigError("collectives.backend = \"" + std::string(name) +
                    "\" is unknown; allowed: " + allowed);
}

}  // namespace lockstep
