// SPDX-License-Identifier: Apache-2.0
// The data ranks of a layout that plan prices: a lane (plan_lane.hpp) beside each of its stages.
#pragma once

#include <vector>

#include "perfmodels/layout.hpp"
#include "perfmodels/machine/machine.hpp"
#include "perfmodels/plan_blocks.hpp"
#include "perfmodels/plan_lane.hpp"

namespace lockstep {

// Of what a layer computes first, before the first sum of its tensor group.
inline constexpr double kUntilSum = 0.5;

// Where weight gradients are not deferred, a gradient is sent on when both halves are done.
StageTimes times_of(const LayerCosts& layer, bool deferred);

// The layers of a stage. One table: embedding and head use the same.
struct StageLayers {
  int blocks = 0;
  bool first = false, last = false;  // embedding, head
  bool one_table = false;
};
// Where these have their values and gradients while passes are at them, with zero 2 and 3.
const LaneBuffers& buffers_of(BlockCosts& blocks, const StageLayers& layers);

// Among the data ranks; kernels per element.
struct DataPrices {
  CostLine all_reduce{}, reduce_scatter{}, all_gather{};
  double clear = 0, add = 0;
};

// What the lanes of a layout are made of.
struct DataLayout {
  const Layout& layout;
  const std::vector<int>& blocks_of;          // in each part of the model
  const std::vector<bool>& deferred;          // by stage: weight gradients have passes of their own
  const std::vector<LaneMessages>& messages;  // by stage
  int micro_batches;                          // that are simulated
};

class DataLanes {
 public:
  DataLanes(const JobConfig& job, const Machine& machine, const DataLayout& data,
            BlockCosts& blocks, const DataPrices& prices);
  DataLanes(const DataLanes&) = delete;
  DataLanes& operator=(const DataLanes&) = delete;

  PassEnd pass(int stage, const Action& pass, double free, double begin) {
    return lanes_[static_cast<std::size_t>(stage)].pass(pass, free, begin);
  }
  // When all lanes have ended.
  double finish();
  const StageLane& of(std::size_t stage) const { return lanes_[stage]; }

 private:
  // Of stages alike in when they compute weight gradients.
  struct Kind {
    LaneRules rules{};
    LaneCosts embedding{}, block{}, head{};
  };

  void set_costs(Kind& kind, const JobConfig& job, const Layout& layout, const BlockCosts& blocks,
                 const DataPrices& prices);
  static void append_layers(std::vector<LaneLayer>& layers, int part, const DataLayout& data,
                            const Kind& kind);

  Kind kinds_[2];          // weight gradients at once, or deferred
  double late_bytes_ = 0;  // of the table, on the first and the last stage
  std::vector<StageLane> lanes_;
};

}  // namespace lockstep
