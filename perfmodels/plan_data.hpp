// SPDX-License-Identifier: Apache-2.0
// The data ranks of a layout that plan prices: a lane (plan_lane.hpp) beside each of its stages.
#pragma once

#include <vector>

#include "perfmodels/layout.hpp"
#include "perfmodels/machine/machine.hpp"
#include "perfmodels/plan_blocks.hpp"
#include "perfmodels/plan_lane.hpp"

namespace lockstep {

// Among the data ranks; kernels per element.
struct DataPrices {
  Line all_reduce{}, reduce_scatter{}, all_gather{};
  double clear = 0, add = 0;
};

class DataLanes {
 public:
  // `blocks_of`: blocks in each part of the model. Steps of `micro_batches` are simulated.
  DataLanes(const JobConfig& job, const Machine& machine, const Layout& layout, BlockCosts& blocks,
            const DataPrices& prices, const std::vector<int>& blocks_of, int micro_batches);
  DataLanes(const DataLanes&) = delete;
  DataLanes& operator=(const DataLanes&) = delete;

  double pass(int stage, const Action& pass, double free, double begin) {
    return lanes_[static_cast<std::size_t>(stage)].pass(pass, free, begin);
  }
  // When all lanes have ended.
  double finish();
  const StageLane& of(std::size_t stage) const { return lanes_[stage]; }

 private:
  void set_costs(const JobConfig& job, const Machine& machine, const Layout& layout,
                 const BlockCosts& blocks, const DataPrices& prices);
  LaneCosts costs_of(const LayerCosts& layer, const Layout& layout, const BlockCosts& blocks,
                     const DataPrices& prices, double until) const;
  void set_buffers(std::vector<LaneLayer>& layers, BlockCosts& blocks, bool one_table) const;

  LaneRules rules_;
  LaneCosts embedding_, block_, head_;
  double late_bytes_ = 0;  // of the table, on the first and the last stage
  std::vector<StageLane> lanes_;
};

}  // namespace lockstep
