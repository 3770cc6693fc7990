// SPDX-License-Identifier: Apache-2.0
// When the passes of one stage end if its data ranks communicate beside them: layer by layer, in
// the order in which the runtime launches it (zero/values.hpp, zero/gradients.hpp,
// data/gradient_buckets.hpp).
//
//   zero 0, 1  gradients of the last micro-batch, in buckets, as backward completes them
//   zero 2     the gradients of a layer, behind its backward; who takes their buffer next waits
//   zero 3     that, and the values of a layer before a pass through it, those of the next layer
//              behind them, unless a buffer holds them still
//
// The lane is a queue: an operation has ended when so many seconds of work are done. Beside a layer
// both go slower by their pace: where the tensor group sends over the same links, or both need the
// same cores; where it sends in the same queue, a layer waits at its first sum until the queue is
// empty. What a pass sends to the
// next stage over the same links shares their rate.
//
// Cost: some 20 ns per layer and pass.
#pragma once

#include <vector>

#include "parallelism/pipeline/simulate.hpp"

namespace lockstep {

// Seconds of a collective on so many bytes.
struct CostLine {
  double alpha = 0, beta = 0;
  double at(double bytes, double calls = 1) const { return calls * alpha + beta * bytes; }
};

// A kind of layer.
struct LaneCosts {
  StageTimes alone{};                            // seconds of its passes
  double again = 0;                              // of backward, before the first gradients
  double forward_until = 0, backward_until = 0;  // the first sum of the tensor group
  double gather = 0, sum = 0;                    // of its unit in the lane, zero 2 and 3
  double clear = 0, add = 0;                     // kernels of its gradients, zero 2 and 3
  double parameters = 0, gradient_bytes = 0;     // no bytes: its gradients are another layer's
};

struct LaneLayer {
  const LaneCosts* costs = nullptr;
  int unit = 0;                                 // of values; layers may share one
  std::size_t values_in = 0, gradients_in = 0;  // buffers
};

struct LaneRules {
  int zero = 0, last_micro_batch = 0;
  bool deferred = false;    // weight gradients come in passes of their own
  bool same_queue = false;  // as the tensor group's
  double layer_pace = 1, lane_pace = 1;
  double bucket_bytes = 0;
  CostLine sum{};  // of a bucket
};

// Seconds of what a stage sends over the links of the lane, behind a pass.
struct LaneMessages {
  double forward = 0, backward = 0;
};

class StageLane {
 public:
  // `begins`: the first layer of each chunk, then the number of layers. Costs stay.
  StageLane(std::vector<LaneLayer> layers, std::vector<int> begins, const LaneRules& rules,
            const LaneMessages& messages);

  // Of a pass that may begin at `begin`, on a stage that is `free` before.
  PassEnd pass(const Action& pass, double free, double begin);
  // When all has ended. So many bytes of gradients have waited for another sum.
  double finish(double late_bytes);

  double sent() const { return issued_; }      // seconds of the lane's work
  double stalled() const { return stalled_; }  // how much later passes have ended for it

 private:
  struct Buffer {
    int holds = -1;     // unit
    double there = 0;   // when so much of the lane's work is done
    bool sums = false;  // gradients are on their way
  };

  void forward(int chunk);
  void backward(int chunk, const Action& pass);
  void complete(const LaneLayer& layer, double seconds);
  void before(std::size_t layer, int next);
  void gather(std::size_t layer);
  double send(ActionKind pass);
  void idle_to(double time);
  void proceed(double seconds);
  void wait_for(double done);
  void run(double seconds, double until);
  void run_beside(double seconds);

  std::vector<LaneLayer> layers_;
  std::vector<int> begins_;
  LaneRules rules_;
  std::vector<Buffer> values_, gradients_;
  double now_ = 0, may_begin_ = 0;
  double issued_ = 0, done_ = 0;  // of the lane's work
  double filled_ = 0;             // bytes of the bucket that is open
  LaneMessages messages_;
  double leaving_ = 0;  // seconds of messages that are on their way
  double stalled_ = 0;
};

}  // namespace lockstep
