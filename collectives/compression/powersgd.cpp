// SPDX-License-Identifier: Apache-2.0
// Of each matrix M [m,n] only a product of rank r travels: one step of power iteration, which goes
// on from the last one's Q (warm start). What the product leaves out of M is added to the next
// contribution (error feedback). Vectors, and matrices that would not get smaller, travel as they
// are.
//
//   P = sum of M Q            all_reduce, [m,r]; its columns are made orthonormal
//   Q = sum of M^T P          all_reduce, [n,r]
//   result P Q^T, left for the next time M - P (M^T P)^T
//
//   bytes  2(p-1)/p * 4 (sum of r(m+n) + vectors)   sent per rank
//   exact  where the sum of all M has rank r or less
//
// T. Vogels, S. P. Karimireddy, M. Jaggi, "PowerSGD", NeurIPS 2019.
#include <algorithm>

#include "collectives/compression/table.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/low_rank.hpp"

namespace lockstep {

namespace {

kernels::LowRankLayout lay_out(const BucketParts& bucket, int rank) {
  kernels::LowRankLayout layout;
  for (const BucketParts::Part& part : bucket.parts) {
    const std::int64_t r = std::min<std::int64_t>({rank, part.rows, part.columns});
    if (r * (part.rows + part.columns) < part.count()) {
      layout.matrices.push_back(
          {part.begin, part.rows, part.columns, r, layout.p_count, layout.q_count});
      layout.p_count += r * part.rows;
      layout.q_count += r * part.columns;
    } else {
      layout.whole.push_back({part.begin, part.count(), layout.p_count});
      layout.p_count += part.count();
    }
  }
  return layout;
}

class PowerSgd : public Compression {
 public:
  PowerSgd(const Communicator& group, Device& device, const BucketParts& parts, int rank)
      : low_rank_(kernels::make_low_rank(device, lay_out(parts, rank))),
        waiting_(Tensor::empty(device, {parts.count})),
        p_(shared(group, device, low_rank_->layout.p_count)),
        q_(shared(group, device, low_rank_->layout.q_count)) {
    kernels::fill(waiting_, 0.0f, device.compute());
    if (q_.count() > 0) kernels::fill_normal(q_, 1.0f, kernels::kDirectionSeed, device.compute());
  }

  Work all_reduce(const Communicator& group, Tensor& bucket) override {
    in_order(group.local_step(
        [&](Stream& stream) { kernels::project(p_, waiting_, bucket, q_, low_rank_, stream); }));
    in_order(group.all_reduce(p_, ReduceOp::sum));
    in_order(group.local_step(
        [&](Stream& stream) { kernels::project_back(q_, p_, waiting_, low_rank_, stream); }));
    in_order(group.all_reduce(q_, ReduceOp::sum));
    return group.local_step(
        [&](Stream& stream) { kernels::multiply_factors(bucket, q_, p_, low_rank_, stream); });
  }

  std::vector<Tensor> kept() const override { return {waiting_, q_}; }

 private:
  static Tensor shared(const Communicator& group, Device& device, std::int64_t count) {
    const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
    return Tensor::over(device, group.allocate(bytes), {count});
  }

  kernels::LowRankPointer low_rank_;
  Tensor waiting_;  // [count of the bucket] M: the contribution and what was left before
  Tensor p_, q_;
};

std::unique_ptr<Compression> make(const Communicator& group, Device& device,
                                  const BucketParts& parts, const CompressionOptions& options) {
  return std::make_unique<PowerSgd>(group, device, parts, options.rank);
}

double bytes_sent(int ranks, const BucketParts& parts, const CompressionOptions& options) {
  const kernels::LowRankLayout layout = lay_out(parts, options.rank);
  return 2.0 * (ranks - 1) / ranks * sizeof(float) *
         static_cast<double>(layout.p_count + layout.q_count);
}

std::string parameter(const CompressionOptions& options) {
  return std::to_string(options.rank);
}

}  // namespace

extern const CompressionMethod compression_powersgd{"powersgd", make, bytes_sent, parameter};

}  // namespace lockstep
