// SPDX-License-Identifier: Apache-2.0
// The data parallelism of job.determinism = "layout": gradients are summed by one tree over all
// micro-batches of the step (tree_sum.hpp), so that every number of data ranks gives the same bits.
//
//   over micro-batches  each is added by itself: log2(m) more copies of the gradients, and some 24
//                       bytes of memory traffic per parameter and micro-batch
//   over data ranks     all_to_all of blocks, each rank sums its own by the tree, all_gather: the
//                       2 (d-1)/d x parameters of a ring, and one more copy for what comes in
//
// All calls only move or add two numbers: any backend and any algorithm gives the same. A parameter
// of two layers is two leaves, which are added last: as if they were on two stages.
#pragma once

#include <optional>
#include <unordered_map>

#include "parallelism/data/data_parallel.hpp"

namespace lockstep {

class TreeGradients : public DataParallel {
 public:
  // ConfigError where the micro-batches of a rank are no tree.
  TreeGradients(const std::vector<LayerParameters>& layers, Communicator data,
                const DataParallelOptions& options);

  void ready(Parameter& parameter) override;
  void finish() override;
  const std::vector<Piece>& pieces() const override { return pieces_; }
  void publish() override {}
  bool shards() const override { return false; }

 private:
  struct Bucket {
    Tensor flat, received;        // where backward adds; what the ranks give to this one
    std::vector<Tensor> kept{};   // sums of each level
    std::int64_t parameters = 0;  // in it
    std::int64_t missing = 0;     // of those, still to be complete in this step
  };
  struct Leaf {
    std::size_t bucket;
    std::int64_t begin, end;
  };
  struct Gradient {
    std::vector<Leaf> leaves{};           // one, or one per use
    std::int64_t uses = 0;                // of the micro-batch under way
    std::int64_t micro_batches = 0;       // complete
    std::optional<Communicator> later{};  // summed over this group last
  };
  void add_buckets(std::size_t bucket_bytes);
  void place(Parameter& parameter, std::size_t bucket, std::int64_t first, std::int64_t second);
  void add_to_tree(const Leaf& leaf, std::int64_t micro_batch);
  void exchange(Bucket& bucket);

  Communicator data_;
  std::int64_t micro_batches_;
  std::vector<Parameter*> parameters_;
  std::vector<Bucket> buckets_;
  std::unordered_map<const Parameter*, Gradient> gradients_;
  std::vector<Piece> pieces_;
  std::vector<Work> pending_;
};

}  // namespace lockstep
