// SPDX-License-Identifier: Apache-2.0
// What the training step asks of the data axis: who keeps which part of values, gradients and
// optimizer states, and the communication that follows from it. One class per answer, chosen by
// parallel.zero (S. Rajbhandari et al., "ZeRO", SC 2020).   N elements, d data ranks, a step sends
//
//   zero   keeps whole                 communicates (elements sent per rank)
//   0      values, gradients, states   all_reduce of gradients, 2 (d-1)/d N
//   1      values, gradients           reduce_scatter of gradients, all_gather of values, the same
//   2      values                      the same, gradients once per micro-batch
//   3      nothing                     all_gather of values per pass and micro-batch, and as 2
#pragma once

#include <memory>
#include <vector>

#include "collectives/compression/table.hpp"
#include "runtime/nn/parameter.hpp"
#include "runtime/nn/sequential.hpp"

namespace lockstep {

// What this rank updates: a parameter or a stretch of it.
struct Piece {
  Tensor value, grad;  // flat views
  const Parameter* parameter = nullptr;
  std::int64_t begin =
      0;  // of its elements on this rank of the tensor group, the first that is here
};

// The parameters of one layer, in the order in which forward uses them. A parameter that two layers
// use belongs to the first.
struct LayerParameters {
  Module* layer = nullptr;
  std::vector<Parameter*> parameters{};
};

// A gradient that is to be summed over another group first, when all passes are done.
struct EarlierSum {
  Parameter* parameter = nullptr;
  Communicator group;
};

// How gradients are summed: in the order of the layout, or by one tree over all micro-batches of
// the step, whichever ranks compute them (tree_sum.hpp).
enum class GradientOrder : std::uint8_t { of_layout, tree };

struct DataParallelOptions {
  int zero = 0;
  std::size_t bucket_bytes = 0;
  CompressionOptions compression{};
  std::int64_t micro_batches = 1;  // per step
  std::vector<EarlierSum> earlier_sums{};
  bool deferred = false;  // weight gradients come later than their layer's backward (zb-h1)
  GradientOrder order = GradientOrder::of_layout;
};

class DataParallel {
 public:
  virtual ~DataParallel() = default;
  // A use of the parameter has been added to its gradient, in one micro-batch. After `uses` x
  // micro_batches of them the gradient is complete.
  virtual void ready(Parameter& parameter) = 0;
  // The sums of the step are in the pieces.
  virtual void finish() = 0;
  virtual const std::vector<Piece>& pieces() const = 0;
  // The updated values are where forward needs them.
  virtual void publish() = 0;
  // What the compression of gradients keeps from one step to the next, in the same order in every
  // run of a layout.
  virtual std::vector<Tensor> kept() const { return {}; }
  // Whether the ranks of the axis have different pieces, so that norms are sums over them.
  virtual bool shards() const = 0;
  virtual nn::LayerWatcher* watcher() { return nullptr; }
};

// Points values and gradients of the parameters to where it keeps them. Collective.
std::unique_ptr<DataParallel> make_data_parallel(const std::vector<LayerParameters>& layers,
                                                 const Communicator& data,
                                                 const DataParallelOptions& options);

// The answer of zero = 0 (gradient_buckets.hpp).
std::unique_ptr<DataParallel> make_gradient_buckets(const std::vector<LayerParameters>& layers,
                                                    const Communicator& data,
                                                    const DataParallelOptions& options);
// Of zero = 0, in the order of the tree (tree_gradients.hpp).
std::unique_ptr<DataParallel> make_tree_gradients(const std::vector<LayerParameters>& layers,
                                                  const Communicator& data,
                                                  const DataParallelOptions& options);

}  // namespace lockstep
