// SPDX-License-Identifier: Apache-2.0
// Whoever is cheapest for each call: one of our algorithms, or the MPI library's own collective.
//
// Our prices are formulas, the library's are measured (library_prices.hpp), or both come from the
// table of a machine profile (cost_table.hpp). With built-in constants
// (job.determinism = "run") nothing is measured, and the library serves only where a rule of the
// job names it. Messages are ours.
#pragma once

#include <memory>

#include "collectives/backend.hpp"
#include "collectives/options.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep::automatic {

std::unique_ptr<Backend> make(MPI_Comm comm, const CommunicatorOptions& options);

}  // namespace lockstep::automatic
