// SPDX-License-Identifier: Apache-2.0
// The section [collectives] of a job, as far as communicators read it.
#pragma once

#include <string>

namespace lockstep {

struct CommunicatorOptions {
  std::string backend = "auto";    // a name of backends/table.hpp; auto is native for now
  std::string algorithm = "auto";  // of native: a name of algorithms/table.hpp
  double timeout_seconds = 600;    // of one wait for another rank
};

}  // namespace lockstep
