// SPDX-License-Identifier: Apache-2.0
// What a step takes in a layout that cuts the model, from recordings of one and of two of its
// blocks: their difference is a block, what is left over are the ends (embedding, head and loss).
//
//   passes    the layers of each part times what a block takes on its tensor group, replayed
//   pipeline  the schedule simulated with these (pipeline/simulate.hpp), the first micro-batches of
//             it; every other one takes what the slowest stage does
//   data      sums of gradients and gathers of values at the prices of the group, behind the passes
//             that can hide them; optimizer by the elements that a rank updates
//   memory    bytes of model states and of activations per block, times what each stage keeps
//
// Cost: some ms per (tensor, micro-batch, recomputation, sequence parallelism), then 10 to 1000 us
// per layout. Within some percent of a whole recording's prediction.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "collectives/options.hpp"
#include "perfmodels/collective_price.hpp"
#include "perfmodels/plan.hpp"

namespace lockstep {

class PlanPrices {
 public:
  // The references stay.
  PlanPrices(const JobConfig& job, const Machine& machine, const CommunicatorOptions& options);
  ~PlanPrices();

  // Of a layout that is valid.
  PricedLayout of(const Layout& layout);
  int recordings() const { return recordings_; }

 private:
  struct Blocks;
  struct Line {
    double alpha = 0, beta = 0;
  };
  using Key = std::tuple<int, std::int64_t, std::string, bool>;

  Blocks& blocks_of(const Layout& layout);
  // Seconds of a collective of these bytes among the ranks of a data group.
  double among_data(Collective what, const Layout& layout, double bytes);

  const JobConfig& job_;
  const Machine& machine_;
  const CommunicatorOptions& options_;
  std::map<Key, std::unique_ptr<Blocks>> blocks_;
  std::map<std::tuple<Collective, int, int>, Line> lines_;
  int recordings_ = 0;
};

}  // namespace lockstep
