// SPDX-License-Identifier: Apache-2.0
// A machine profile among ranks: the first one reads it, all have the same, wherever they lie.
#pragma once

#include <string>

#include "collectives/options.hpp"
#include "perfmodels/machine/machine.hpp"
#include "runtime/context/context.hpp"

namespace lockstep {

// ConfigError on all ranks if it cannot be read. Collective.
Machine find_machine(const Context& context, const std::string& name);

// Of a job that may name a machine. Collective.
CommunicatorOptions communicator_options(const Context& context, const JobConfig& job);

}  // namespace lockstep
