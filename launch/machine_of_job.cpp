// SPDX-License-Identifier: Apache-2.0
#include "launch/machine_of_job.hpp"

#include "perfmodels/cost_table.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/machine/profile.hpp"

namespace lockstep {

Machine find_machine(const Context& context, const std::string& name) {
  std::string text;
  context.together([&] {
    if (context.first()) text = to_toml(find_machine(name));
  });
  return parse_machine(context.broadcast(text), name);
}

CommunicatorOptions communicator_options(const Context& context, const JobConfig& job) {
  if (job.collectives.machine.empty()) return communicator_options(job);
  return communicator_options(job, find_machine(context, job.collectives.machine), context.size());
}

}  // namespace lockstep
