// SPDX-License-Identifier: Apache-2.0
#include "collectives/compression/coded_sum.hpp"

#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

kernels::CodedBlocks blocks_of(kernels::Code code, int ranks, std::int64_t count) {
  return {.code = code, .num = ranks, .count = count, .block = (count + ranks - 1) / ranks};
}

class CodedSum : public Compression {
 public:
  CodedSum(kernels::Code code, Feedback feedback, const Communicator& group, Device& device,
           std::int64_t count)
      : device_(device),
        blocks_(blocks_of(code, group.size(), count)),
        sent_(codes(group)),
        received_(codes(group)),
        gathered_(codes(group)) {
    if (feedback == Feedback::none) return;
    contribution_lost_ = Tensor::empty(device, {count});
    sum_lost_ = Tensor::empty(device, {blocks_.block});
    kernels::fill(contribution_lost_, 0.0f, device.compute());
    kernels::fill(sum_lost_, 0.0f, device.compute());
  }

  Work all_reduce(const Communicator& group, Tensor& bucket) override {
    const int me = group.rank();
    const std::int64_t bytes = kernels::code_bytes(blocks_.code, blocks_.block);
    Tensor sum = gathered_.slice(me * bytes, (me + 1) * bytes);
    in_order(group.local_step([&](Stream& stream) {
      kernels::encode_blocks(sent_, bucket, contribution_lost_, blocks_, stream);
    }));
    in_order(group.all_to_all(received_, sent_));
    in_order(group.local_step([&](Stream& stream) {
      kernels::sum_codes(sum, received_, sum_lost_, blocks_, me, stream);
    }));
    in_order(group.all_gather(gathered_, sum));
    return group.local_step(
        [&](Stream& stream) { kernels::decode_blocks(bucket, gathered_, blocks_, stream); });
  }

  std::vector<Tensor> kept() const override {
    if (!contribution_lost_) return {};
    return {contribution_lost_, sum_lost_};
  }

 private:
  // One for each rank.
  Tensor codes(const Communicator& group) const {
    const std::int64_t bytes = blocks_.num * kernels::code_bytes(blocks_.code, blocks_.block);
    return Tensor::over(device_, group.allocate(static_cast<std::size_t>(bytes)), {bytes},
                        DType::uint8);
  }

  Device& device_;
  kernels::CodedBlocks blocks_;
  Tensor sent_, received_, gathered_;
  Tensor contribution_lost_{}, sum_lost_{};  // [count], [block]; none without feedback
};

}  // namespace

std::unique_ptr<Compression> make_coded_sum(kernels::Code code, Feedback feedback,
                                            const Communicator& group, Device& device,
                                            const BucketParts& parts) {
  return std::make_unique<CodedSum>(code, feedback, group, device, parts.count);
}

double coded_sum_bytes(kernels::Code code, int ranks, const BucketParts& parts) {
  const auto blocks = blocks_of(code, ranks, parts.count);
  return 2.0 * (ranks - 1) * static_cast<double>(kernels::code_bytes(code, blocks.block));
}

}  // namespace lockstep
