// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/table.hpp"

#include <string>

#include "collectives/backends/mpi.hpp"
#include "collectives/backends/native.hpp"

namespace lockstep {

namespace {
constexpr BackendEntry kBackends[] = {
    {"native", native::make},  // our algorithms over a transport
    {"mpi", mpi::make},        // the library's own collectives
};
}  // namespace

std::span<const BackendEntry> backends() {
  return kBackends;
}

const BackendEntry& find_backend(std::string_view name) {
  if (name == "auto") return kBackends[0];
  std::string allowed = "auto";
  for (const BackendEntry& entry : kBackends) {
    if (entry.name == name) return entry;
    (allowed += ", ") += entry.name;
  }
  throw ConfigError("collectives.backend = \"" + std::string(name) +
                    "\" is unknown; allowed: " + allowed);
}

}  // namespace lockstep
