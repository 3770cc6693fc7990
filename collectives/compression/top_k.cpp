// SPDX-License-Identifier: Apache-2.0
// The k largest elements of each rank travel, as (index, value); what stays behind is added to the
// next contribution (error feedback). All ranks gather all pairs and add them in rank order.
//   k      ceil(share * n)
//   bytes  (p-1) * 8k   sent per rank: it grows with the ranks
//   order  of equal magnitudes the first is taken
// A. Aji, K. Heafield, "Sparse Communication for Distributed Gradient Descent", EMNLP 2017;
// S. Stich et al., "Sparsified SGD with Memory", NeurIPS 2018.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "collectives/compression/table.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

std::int64_t taken(std::int64_t count, double share) {
  const auto k = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count)));
  return std::clamp<std::int64_t>(k, 0, count);
}

// As integers the magnitudes of floats keep their order; what is no number is the largest.
std::uint32_t magnitude(float x) {
  return std::bit_cast<std::uint32_t>(x) & 0x7fffffffu;
}

// What is taken: all that is larger than `least`, and the first `ties` of what is as large.
struct Threshold {
  std::uint32_t least = 0;
  std::int64_t ties = 0;
};

// The k-th largest magnitude, sixteen bits at a time: two passes, whatever the values are.
Threshold threshold(std::span<const float> values, std::int64_t k) {
  Threshold found{.least = 0, .ties = k};
  for (const int shift : {16, 0}) {
    std::vector<std::int32_t> counts(1 << 16);
    for (const float x : values) {
      const std::uint32_t size = magnitude(x);
      if (shift == 16 || size >> 16 == found.least >> 16) ++counts[size >> shift & 0xffff];
    }
    std::uint32_t digit = 0xffff;
    while (counts[digit] < found.ties)
      found.ties -= counts[digit--];
    found.least |= digit << shift;
  }
  return found;
}

// The buffers of one bucket. A copy is the same buffers: each step of the queue owns one.
struct Buffers {
  std::int64_t k;
  Tensor waiting;     // [n] what has not travelled yet
  Tensor pairs, all;  // [2k], [ranks * 2k] int32: indices, then the bits of the values

  // Adds the contribution to what waits, and takes the largest out.
  void select(Tensor& bucket) {
    if (k == 0) return;
    const std::span<float> x = waiting.values();
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] += bucket.data()[i];
    auto [least, ties] = threshold(x, k);
    std::int64_t at = 0;
    for (std::size_t i = 0; at < k; ++i) {
      const std::uint32_t size = magnitude(x[i]);
      if (size > least || (size == least && ties-- > 0)) take(at++, i);
    }
  }

  void add_all(Tensor& bucket, int ranks) {
    float* const sum = bucket.data();
    std::fill_n(sum, bucket.count(), 0.0f);
    for (int r = 0; r < ranks; ++r) {
      const std::int32_t* const indices = all.data<std::int32_t>() + 2 * k * r;
      for (std::int64_t j = 0; j < k; ++j)
        sum[indices[j]] += std::bit_cast<float>(indices[k + j]);
    }
  }

 private:
  void take(std::int64_t at, std::size_t index) {
    float& value = waiting.values()[index];
    pairs.data<std::int32_t>()[at] = static_cast<std::int32_t>(index);
    pairs.data<std::int32_t>()[k + at] = std::bit_cast<std::int32_t>(value);
    value = 0;
  }
};

class TopK : public Compression {
 public:
  TopK(const Communicator& group, Device& device, std::int64_t count, double share)
      : buffers_{.k = taken(count, share),
                 .waiting = Tensor::empty(device, {count}),
                 .pairs = shared(group, device, 2 * taken(count, share)),
                 .all = shared(group, device, 2 * taken(count, share) * group.size())} {
    expect(count <= std::numeric_limits<std::int32_t>::max(), "an index has 32 bits");
    kernels::fill(buffers_.waiting, 0.0f, device.compute());
  }

  Work all_reduce(const Communicator& group, Tensor& bucket) override {
    expect(bucket.count() == buffers_.waiting.count(), "another bucket");
    const auto floats = static_cast<double>(bucket.bytes());
    in_order(group.run("select", bucket.count(), 5 * floats, floats,
                       [b = buffers_, bucket]() mutable { b.select(bucket); }));
    in_order(group.all_gather(buffers_.all, buffers_.pairs));
    return group.run(
        "add_selected", bucket.count(), static_cast<double>(buffers_.all.bytes()), floats,
        [b = buffers_, bucket, ranks = group.size()]() mutable { b.add_all(bucket, ranks); });
  }

  std::vector<Tensor> kept() const override { return {buffers_.waiting}; }

 private:
  static Tensor shared(const Communicator& group, Device& device, std::int64_t count) {
    return Tensor::over(device,
                        group.allocate(static_cast<std::size_t>(count) * sizeof(std::int32_t)),
                        {count}, DType::int32);
  }

  Buffers buffers_;
};

std::unique_ptr<Compression> make(const Communicator& group, Device& device,
                                  const BucketParts& parts, const CompressionOptions& options) {
  return std::make_unique<TopK>(group, device, parts.count, options.share);
}

double bytes_sent(int ranks, const BucketParts& parts, const CompressionOptions& options) {
  return 8.0 * (ranks - 1) * static_cast<double>(taken(parts.count, options.share));
}

}  // namespace

extern const CompressionMethod compression_top_k{"top_k", make, bytes_sent};

}  // namespace lockstep
