// SPDX-License-Identifier: Apache-2.0
// Does every node write the run directory, and do the nodes see each other's files there?
#pragma once

#include <string>

#include "runtime/context/context.hpp"

namespace lockstep::slurm {

// What is wrong with `dir` as this rank's node sees it, or "". Collective: the first rank of each
// node writes a small file and looks for rank 0's, and all of them are removed again.
std::string try_directory(const Context& context, const std::string& dir);

}  // namespace lockstep::slurm
