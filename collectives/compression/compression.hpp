// SPDX-License-Identifier: Apache-2.0
// An all-reduce that sends less than the numbers it sums: float32 sums of one bucket that is summed
// again and again, such as gradients. What is lost in a step may be kept and added in the next
// (error feedback), so there is one object per bucket.
//
// Everything happens on the communication stream: each method is a few local steps and collectives,
// submitted in order, so a recording (the dry device's too) shows what travels. Sums run in rank
// order. All ranks end with the same bits, where the backend's all_reduce gives them the same.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"

namespace lockstep {

// The keys compression... of the section [collectives].
struct CompressionOptions {
  std::string method = "none";  // a name of compression/table.hpp
  int rank = 4;                 // powersgd: columns that are kept of a matrix
  double share = 0.01;          // top_k: of the elements that travel
};

// A bucket and the gradients in it. Between them it is zero on all ranks.
struct BucketParts {
  struct Part {
    std::int64_t begin, rows, columns;  // row-major; a vector has one row or one column
    std::int64_t count() const { return rows * columns; }
  };
  std::int64_t count = 0;
  std::vector<Part> parts{};
};

// A step whose Work nobody waits for: the last one of the sum stands behind it in the queue.
inline void in_order(Work) {}

class Compression {
 public:
  Compression() = default;
  virtual ~Compression() = default;
  Compression(const Compression&) = delete;
  Compression& operator=(const Compression&) = delete;

  // Sums the bucket over the group, in place. Always of the group and the size it was made for.
  virtual Work all_reduce(const Communicator& group, Tensor& bucket) = 0;

  // What it keeps from one sum to the next, not empty: with the same in it, it goes on alike. To be
  // looked at and changed while no sum is under way.
  virtual std::vector<Tensor> kept() const { return {}; }
};

}  // namespace lockstep
