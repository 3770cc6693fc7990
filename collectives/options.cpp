// SPDX-License-Identifier: Apache-2.0
#include "collectives/options.hpp"

namespace lockstep {

CommunicatorOptions communicator_options(const JobConfig& job) {
  const CollectivesSection& c = job.collectives;
  const bool fast = job.job.determinism == "fast";
  return {.backend = c.backend,
          .algorithm = c.algorithm,
          .timeout_seconds = c.timeout_seconds,
          .rules = c.rules,
          .constants = fast ? Constants::measured : Constants::built_in};
}

}  // namespace lockstep
