// SPDX-License-Identifier: Apache-2.0
// What a step takes in a layout that cuts the model, from what its kinds of layers take alone
// (plan_blocks.hpp).
//
//   passes    the layers of each part, simulated in the order of the schedule
//             (pipeline/simulate.hpp, or exchanges.hpp for software that waits for its messages):
//             the first micro-batches of it, each other one takes what those in the middle do
//   data      sums of gradients and gathers of values at the prices of the group, behind the passes
//             that can hide them; sums over stages and over all ranks; optimizer by the elements
//             that a rank updates
//   memory    bytes of model states, of what each layer keeps times the micro-batches of its stage,
//             and of the most that one layer works with
//
// Cost: some ms per (tensor, micro-batch, recomputation, sequence parallelism), then 10 to 1000 us
// per layout. tests/bench/check_plan.py holds it against whole predictions.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "collectives/options.hpp"
#include "perfmodels/message_time.hpp"
#include "perfmodels/plan.hpp"
#include "perfmodels/plan_blocks.hpp"
#include "perfmodels/plan_data.hpp"
#include "perfmodels/plan_rates.hpp"
#include "perfmodels/plan_stored.hpp"

namespace lockstep {

// Whether its memory is more than a device has; then it says so.
bool refuse_too_large(PricedLayout& priced, const Machine& machine);

class PlanPrices {
 public:
  // The references stay.
  PlanPrices(const JobConfig& job, int ranks, const Machine& machine,
             const CommunicatorOptions& options);

  // Of a layout that is valid.
  PricedLayout of(const Layout& layout);
  int recordings() const { return kBlockRecordings * static_cast<int>(blocks_.size()); }

 private:
  struct Stages;
  struct Passed {
    double end = 0;  // of the last pass, and of what is sent behind it
    double sent = 0,
           stalled = 0;  // data ranks, on the slowest stage; of it, with nothing else at work
  };
  struct Messages {
    std::vector<double> seconds{};       // between each stage and the next
    std::vector<LaneMessages> beside{};  // of each stage, over the links of its data ranks
  };
  using Key = std::tuple<int, std::int64_t, std::string, bool>;

  BlockCosts& blocks_of(const Layout& layout);
  Stages stages_of(const Layout& layout, BlockCosts& blocks);
  Messages messages_in(const Layout& layout, const BlockCosts& blocks,
                       const MessageKind& kind) const;
  Passed passes(const Layout& layout, BlockCosts& blocks, const Stages& stages);
  Passed without_stages(const Layout& layout, const Stages& stages, DataLanes* lanes,
                        int micro_batches) const;
  // What data ranks send when all passes are done: updated values; all sums of other software.
  double behind_passes(const Layout& layout, const BlockCosts& blocks, const Stages& stages);
  const StoredPasses& stored_in(const Layout& layout);
  // Sums over the two stages that share a table, and of a few numbers over all ranks.
  double sums_besides(const Layout& layout, const BlockCosts& blocks);
  double memory(const Layout& layout, BlockCosts& blocks, const Stages& stages);

  const JobConfig& job_;
  const Machine& machine_;
  const CommunicatorOptions& options_;
  PlanRates rates_;
  std::map<Key, BlockCosts> blocks_;
  std::map<std::tuple<std::string, int, std::int64_t, int>, StoredPasses> stored_;
};

}  // namespace lockstep
