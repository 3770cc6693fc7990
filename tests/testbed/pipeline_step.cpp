// SPDX-License-Identifier: Apache-2.0
#include "tests/testbed/pipeline_step.hpp"

#include <algorithm>
#include <cstdio>

#include "collectives/transports/subgroup.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

using What = PipelineAction::What;

constexpr double kForward = 100e-6, kBackward = 200e-6;

void add_forward(std::vector<PipelineAction>& actions, int stages, int stage, int m) {
  if (stage > 0) actions.push_back({What::receive_activation, m});
  actions.push_back({What::forward, m});
  if (stage + 1 < stages) actions.push_back({What::send_activation, m});
}

void add_backward(std::vector<PipelineAction>& actions, int stages, int stage, int m) {
  if (stage + 1 < stages) actions.push_back({What::receive_gradient, m});
  actions.push_back({What::backward, m});
  if (stage > 0) actions.push_back({What::send_gradient, m});
}

// Where a rank stands: its stage, its place among the ranks of the stage, and who else is where.
class Layout {
 public:
  Layout(const PipelineStep& step, int ranks, int rank)
      : step_(step), replicas_(ranks / step.stages) {
    expect(ranks % step.stages == 0, "stages divide the ranks");
    const bool neighbours = step.inner == PipelineStep::Inner::replicas;
    stage = neighbours ? rank / replicas_ : rank % step.stages;
    replica = neighbours ? rank % replicas_ : rank / step.stages;
  }
  int rank_of(int of_stage, int of_replica) const {
    const bool neighbours = step_.inner == PipelineStep::Inner::replicas;
    return neighbours ? of_stage * replicas_ + of_replica : of_replica * step_.stages + of_stage;
  }
  std::vector<int> ranks_of_stage() const {
    std::vector<int> ranks;
    for (int r = 0; r < replicas_; ++r)
      ranks.push_back(rank_of(stage, r));
    return ranks;
  }
  int stage = 0, replica = 0;

 private:
  const PipelineStep& step_;
  int replicas_;
};

}  // namespace

std::vector<PipelineAction> gpipe(int stages, int stage, int micro_batches) {
  std::vector<PipelineAction> actions;
  for (int m = 0; m < micro_batches; ++m)
    add_forward(actions, stages, stage, m);
  for (int m = 0; m < micro_batches; ++m)
    add_backward(actions, stages, stage, m);
  return actions;
}

std::vector<PipelineAction> one_forward_one_backward(int stages, int stage, int micro_batches) {
  const int ahead = std::min(stages - 1 - stage, micro_batches);
  std::vector<PipelineAction> actions;
  for (int m = 0; m < ahead; ++m)
    add_forward(actions, stages, stage, m);
  for (int m = 0; m < micro_batches; ++m) {
    if (m + ahead < micro_batches) add_forward(actions, stages, stage, m + ahead);
    add_backward(actions, stages, stage, m);
  }
  return actions;
}

PipelineStep pipeline_step_named(const std::string& name) {
  PipelineStep step;
  char order[16] = "", algorithm[32] = "", inner[8] = "";
  const int found = std::sscanf(name.c_str(), "%15[^-]-%dx%d-%31[^-]-%7s", order, &step.stages,
                                &step.micro_batches, algorithm, inner);
  const std::string which = order;
  if (which == "gpipe") step.schedule = gpipe;
  if (which == "1f1b") step.schedule = one_forward_one_backward;
  step.reduce = find_algorithm(Collective::all_reduce, algorithm);
  if (std::string(inner) == "inner") step.inner = PipelineStep::Inner::stages;
  if (found < 4 || !step.schedule || !step.reduce || step.stages < 1) {
    throw ConfigError("not a pipeline step: '" + name + "'");
  }
  return step;
}

// A message that is sent may still be under way while the rank computes on.
void run_pipeline_step(const PipelineStep& step, Transport& net, const Elements& messages,
                       const Elements& gradients, const Compute& compute) {
  const Layout layout(step, net.size(), net.rank());
  const auto stage_at = [&](int stage) { return layout.rank_of(stage, layout.replica); };
  const int before = stage_at(layout.stage - 1), behind = stage_at(layout.stage + 1);  // if any
  const Elements out = messages.first(messages.count / 2);
  const Elements in = messages.subspan(messages.count / 2, messages.count / 2);

  for (const PipelineAction& action :
       step.schedule(step.stages, layout.stage, step.micro_batches)) {
    switch (action.what) {
      case What::receive_activation:
        net.receive(in, before);
        break;
      case What::receive_gradient:
        net.receive(in, behind);
        break;
      case What::forward:
        compute(kForward);
        break;
      case What::backward:
        compute(kBackward);
        break;
      case What::send_activation:
        net.post_send(out, behind);
        break;
      case What::send_gradient:
        net.post_send(out, before);
        break;
    }
  }
  net.complete();
  const auto replicas = make_subgroup(net, layout.ranks_of_stage());
  step.reduce->run(*replicas,
                   all_reduce_call(gradients, gradients, ReduceOp::sum, replicas->size()));
}

}  // namespace lockstep
