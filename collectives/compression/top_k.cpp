// SPDX-License-Identifier: Apache-2.0
// The k largest elements of each rank travel, as (index, value); what stays behind is added to the
// next contribution (error feedback). All ranks gather all pairs and add them in rank order.
//   k      ceil(share * n)
//   bytes  (p-1) * 8k   sent per rank: it grows with the ranks
//   order  of equal magnitudes the first is taken (runtime/kernels/top_k.hpp)
// A. Aji, K. Heafield, "Sparse Communication for Distributed Gradient Descent", EMNLP 2017;
// S. Stich et al., "Sparsified SGD with Memory", NeurIPS 2018.
#include "runtime/kernels/top_k.hpp"

#include <algorithm>
#include <cmath>

#include "collectives/compression/table.hpp"
#include "runtime/base/format.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

std::int64_t taken(std::int64_t count, double share) {
  const auto k = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count)));
  return std::clamp<std::int64_t>(k, 0, count);
}

class TopK : public Compression {
 public:
  TopK(const Communicator& group, Device& device, std::int64_t count, double share)
      : waiting_(Tensor::empty(device, {count})),
        workspace_(kernels::take_largest_workspace(device, count)),
        pairs_(shared(group, device, 2 * taken(count, share))),
        all_(shared(group, device, 2 * taken(count, share) * group.size())) {
    kernels::fill(waiting_, 0.0f, device.compute());
  }

  Work all_reduce(const Communicator& group, Tensor& bucket) override {
    in_order(group.local_step([&](Stream& stream) {
      kernels::take_largest(pairs_, waiting_, bucket, workspace_, stream);
    }));
    in_order(group.all_gather(all_, pairs_));
    return group.local_step(
        [&](Stream& stream) { kernels::add_pairs(bucket, all_, group.size(), stream); });
  }

  std::vector<Tensor> kept() const override { return {waiting_}; }

 private:
  static Tensor shared(const Communicator& group, Device& device, std::int64_t count) {
    return Tensor::over(device,
                        group.allocate(static_cast<std::size_t>(count) * sizeof(std::int32_t)),
                        {count}, DType::int32);
  }

  Tensor waiting_;  // [n] what has not travelled yet
  Tensor workspace_;
  Tensor pairs_, all_;  // [2k], [ranks * 2k]
};

std::unique_ptr<Compression> make(const Communicator& group, Device& device,
                                  const BucketParts& parts, const CompressionOptions& options) {
  return std::make_unique<TopK>(group, device, parts.count, options.share);
}

double bytes_sent(int ranks, const BucketParts& parts, const CompressionOptions& options) {
  return 8.0 * (ranks - 1) * static_cast<double>(taken(parts.count, options.share));
}

std::string parameter(const CompressionOptions& options) {
  return format("%g", options.share);
}

}  // namespace

extern const CompressionMethod compression_top_k{"top_k", make, bytes_sent, parameter};

}  // namespace lockstep
