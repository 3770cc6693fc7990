// SPDX-License-Identifier: Apache-2.0
// The section [collectives] of a job, as far as communicators read it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/config/job_config.hpp"

namespace lockstep {

struct Call;
struct CostTable;

// What calls are priced with. Measured constants differ a little from run to run, and so may the
// choice of an algorithm and with it the order of a sum: built-in ones give the same bits again.
enum class Constants : std::uint8_t { built_in, measured };

struct CommunicatorOptions {
  std::string backend = "auto";      // a name of backends/table.hpp
  std::string algorithm = "auto";    // of native: a name of algorithms/table.hpp
  double timeout_seconds = 600;      // of one operation
  std::vector<std::string> rules{};  // "all_reduce 0:64K ring": who serves which sizes (rules.hpp)
  Constants constants = Constants::built_in;
  // Of a machine profile: then nothing is measured, and the dry device has the machine's nodes.
  std::shared_ptr<const CostTable> costs{};
  // Looks at each call before it is served and may damage what this rank gives: for faults on
  // purpose.
  std::function<void(const Call&)> tamper{};
};

// job.determinism = "fast" allows measured constants.
CommunicatorOptions communicator_options(const JobConfig& job);

}  // namespace lockstep
