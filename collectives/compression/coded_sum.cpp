// SPDX-License-Identifier: Apache-2.0
#include "collectives/compression/coded_sum.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kChunk = 16 * Code::kRun;  // stays in the first cache

std::size_t block_size(std::int64_t count, int ranks) {
  const auto p = static_cast<std::size_t>(ranks);
  return (static_cast<std::size_t>(count) + p - 1) / p;
}

// body(begin, n) over pieces that are codes of their own.
template <class Body>
void in_chunks(std::size_t n, Body&& body) {
  for (std::size_t begin = 0; begin < n; begin += kChunk)
    body(begin, std::min(kChunk, n - begin));
}

// What a code lost. An infinite loss would stay for ever: it is forgotten.
void keep_error(float* error, const float* exact, const float* decoded, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const float lost = exact[i] - decoded[i];
    error[i] = std::isfinite(lost) ? lost : 0.0f;
  }
}

// values + error is encoded, and becomes the new error less what the code says.
void encode_with_error(const Code& code, std::byte* out, const float* values, float* error,
                       std::size_t size) {
  in_chunks(size, [&](std::size_t begin, std::size_t n) {
    std::array<float, kChunk> exact, decoded;
    for (std::size_t i = 0; i < n; ++i)
      exact[i] = values[begin + i] + error[begin + i];
    code.encode(out + code.bytes(begin), exact.data(), n);
    code.decode(decoded.data(), out + code.bytes(begin), n);
    keep_error(error + begin, exact.data(), decoded.data(), n);
  });
}

// The buffers of one bucket. A copy is the same buffers: each step of the queue owns one.
struct Buffers {
  const Code* code;
  std::size_t count, block;
  int ranks, me;
  Tensor sent, received, gathered;       // [ranks * bytes(block)]
  Tensor contribution_lost, sum_lost{};  // [count], [block]; none without feedback

  std::size_t begin(int r) const { return std::min(count, static_cast<std::size_t>(r) * block); }
  std::size_t size(int r) const { return std::min(block, count - begin(r)); }
  std::byte* of(const Tensor& codes, int r) const {
    return codes.raw() + static_cast<std::size_t>(r) * code->bytes(block);
  }

  void encode(std::byte* out, const float* values, float* error, std::size_t n) const {
    if (error) return encode_with_error(*code, out, values, error, n);
    code->encode(out, values, n);
  }

  void encode_contribution(const float* bucket) const {
    float* const lost = reinterpret_cast<float*>(contribution_lost.raw());
    for (int r = 0; r < ranks; ++r)
      encode(of(sent, r), bucket + begin(r), lost ? lost + begin(r) : nullptr, size(r));
  }

  // The sum of this rank's block, in the place where the bucket had its contribution.
  void sum_block(float* bucket) const {
    float* const sum = bucket + begin(me);
    in_chunks(size(me), [&](std::size_t at, std::size_t n) {
      std::array<float, kChunk> decoded;
      code->decode(sum + at, of(received, 0) + code->bytes(at), n);
      for (int r = 1; r < ranks; ++r) {
        code->decode(decoded.data(), of(received, r) + code->bytes(at), n);
        for (std::size_t i = 0; i < n; ++i)
          sum[at + i] += decoded[i];
      }
    });
    encode(of(gathered, me), sum, reinterpret_cast<float*>(sum_lost.raw()), size(me));
  }

  void decode_sums(float* bucket) const {
    for (int r = 0; r < ranks; ++r)
      code->decode(bucket + begin(r), of(gathered, r), size(r));
  }
};

class CodedSum : public Compression {
 public:
  CodedSum(const Code& code, const Communicator& group, Device& device, std::int64_t count)
      : buffers_{.code = &code,
                 .count = static_cast<std::size_t>(count),
                 .block = block_size(count, group.size()),
                 .ranks = group.size(),
                 .me = group.rank(),
                 .sent = codes(code, group, device, count),
                 .received = codes(code, group, device, count),
                 .gathered = codes(code, group, device, count),
                 .contribution_lost = {}} {
    if (code.feedback == Feedback::none) return;
    buffers_.contribution_lost = Tensor::empty(device, {count});
    buffers_.sum_lost = Tensor::empty(device, {static_cast<std::int64_t>(buffers_.block)});
    kernels::fill(buffers_.contribution_lost, 0.0f, device.compute());
    kernels::fill(buffers_.sum_lost, 0.0f, device.compute());
  }

  Work all_reduce(const Communicator& group, Tensor& bucket) override {
    expect(static_cast<std::size_t>(bucket.count()) == buffers_.count, "another bucket");
    const double floats = static_cast<double>(bucket.bytes());
    const auto bytes = static_cast<double>(buffers_.sent.bytes());
    in_order(group.run("compress", bucket.count(), floats, bytes,
                       [b = buffers_, bucket]() mutable { b.encode_contribution(bucket.data()); }));
    in_order(group.all_to_all(buffers_.received, buffers_.sent));
    in_order(group.run("sum_compressed", bucket.count(), bytes, (floats + bytes) / buffers_.ranks,
                       [b = buffers_, bucket]() mutable { b.sum_block(bucket.data()); }));
    in_order(group.all_gather(buffers_.gathered, own_sum()));
    return group.run("decompress", bucket.count(), bytes, floats,
                     [b = buffers_, bucket]() mutable { b.decode_sums(bucket.data()); });
  }

  std::vector<Tensor> kept() const override {
    if (!buffers_.contribution_lost) return {};
    return {buffers_.contribution_lost, buffers_.sum_lost};
  }

 private:
  // One for each rank.
  static Tensor codes(const Code& code, const Communicator& group, Device& device,
                      std::int64_t count) {
    const std::size_t bytes =
        static_cast<std::size_t>(group.size()) * code.bytes(block_size(count, group.size()));
    return Tensor::over(device, group.allocate(bytes), {static_cast<std::int64_t>(bytes)},
                        DType::uint8);
  }

  Tensor own_sum() const {
    const auto bytes = static_cast<std::int64_t>(buffers_.code->bytes(buffers_.block));
    return buffers_.gathered.slice(buffers_.me * bytes, (buffers_.me + 1) * bytes);
  }

  Buffers buffers_;
};

}  // namespace

std::unique_ptr<Compression> make_coded_sum(const Code& code, const Communicator& group,
                                            Device& device, const BucketParts& parts) {
  return std::make_unique<CodedSum>(code, group, device, parts.count);
}

double coded_sum_bytes(const Code& code, int ranks, const BucketParts& parts) {
  return 2.0 * (ranks - 1) * static_cast<double>(code.bytes(block_size(parts.count, ranks)));
}

}  // namespace lockstep
