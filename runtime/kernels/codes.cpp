// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/codes.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/base/half.hpp"
#include "runtime/device/run_on.hpp"

namespace lockstep::kernels {

namespace {

constexpr std::int64_t kChunk = 16 * kCodedRun;  // stays in the first cache

template <class Half>
void encode_halves(std::byte* code, const float* values, std::int64_t n) {
  auto* const halves = reinterpret_cast<Half*>(code);
  for (std::int64_t i = 0; i < n; ++i)
    halves[i] = Half(values[i]);
}

template <class Half>
void decode_halves(float* values, const std::byte* code, std::int64_t n) {
  const auto* const halves = reinterpret_cast<const Half*>(code);
  for (std::int64_t i = 0; i < n; ++i)
    values[i] = static_cast<float>(halves[i]);
}

// As integers the magnitudes of floats keep their order, infinity and NaN are the largest.
float largest_magnitude(const float* values, std::int64_t n) {
  std::uint32_t most = 0;
  for (std::int64_t i = 0; i < n; ++i)
    most = std::max(most, std::bit_cast<std::uint32_t>(values[i]) & 0x7fffffffu);
  return std::bit_cast<float>(most);
}

void encode_run(std::byte* code, const float* values, std::int64_t n) {
  float scale = largest_magnitude(values, n) / 127;
  auto* const q = reinterpret_cast<std::int8_t*>(code + sizeof scale);
  if (!std::isfinite(scale)) {
    scale = std::numeric_limits<float>::quiet_NaN();
    std::fill_n(q, n, std::int8_t{1});
  } else {
    const float divisor = scale > 0 ? scale : 1;
    for (std::int64_t i = 0; i < n; ++i)
      q[i] =
          static_cast<std::int8_t>(std::clamp(std::nearbyint(values[i] / divisor), -127.f, 127.f));
  }
  std::memcpy(code, &scale, sizeof scale);
}

void decode_run(float* values, const std::byte* code, std::int64_t n) {
  float scale;
  std::memcpy(&scale, code, sizeof scale);
  const auto* const q = reinterpret_cast<const std::int8_t*>(code + sizeof scale);
  for (std::int64_t i = 0; i < n; ++i)
    values[i] = scale * static_cast<float>(q[i]);
}

// body(begin, n) over pieces that are codes of their own.
template <class Body>
void in_pieces(std::int64_t n, std::int64_t piece, Body&& body) {
  for (std::int64_t begin = 0; begin < n; begin += piece)
    body(begin, std::min(piece, n - begin));
}

void encode_int8(std::byte* code, const float* values, std::int64_t n) {
  in_pieces(n, kCodedRun, [&](std::int64_t begin, std::int64_t size) {
    encode_run(code + code_bytes(Code::int8, begin), values + begin, size);
  });
}

void decode_int8(float* values, const std::byte* code, std::int64_t n) {
  in_pieces(n, kCodedRun, [&](std::int64_t begin, std::int64_t size) {
    decode_run(values + begin, code + code_bytes(Code::int8, begin), size);
  });
}

struct Coder {
  void (*encode)(std::byte* code, const float* values, std::int64_t n);
  void (*decode)(float* values, const std::byte* code, std::int64_t n);
};

Coder coder_of(Code code) {
  switch (code) {
    case Code::bfloat16:
      return {encode_halves<BFloat16>, decode_halves<BFloat16>};
    case Code::float16:
      return {encode_halves<Float16>, decode_halves<Float16>};
    case Code::int8:
      return {encode_int8, decode_int8};
  }
  throw LogicError("no such code");
}

void keep_error(float* error, const float* exact, const float* decoded, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float lost = exact[i] - decoded[i];
    error[i] = std::isfinite(lost) ? lost : 0.0f;
  }
}

void encode(Code code, std::byte* out, const float* values, float* lost, std::int64_t size) {
  const Coder coder = coder_of(code);
  if (!lost) return coder.encode(out, values, size);
  in_pieces(size, kChunk, [&](std::int64_t begin, std::int64_t n) {
    std::byte* const coded = out + code_bytes(code, begin);
    std::array<float, kChunk> exact{}, decoded{};
    for (std::int64_t i = 0; i < n; ++i)
      exact[i] = values[begin + i] + lost[begin + i];
    coder.encode(coded, exact.data(), n);
    coder.decode(decoded.data(), coded, n);
    keep_error(lost + begin, exact.data(), decoded.data(), n);
  });
}

std::byte* code_of(const Tensor& codes, const CodedBlocks& blocks, int r) {
  return codes.raw() + r * code_bytes(blocks.code, blocks.block);
}

float* floats(const Tensor& lost) {
  return reinterpret_cast<float*>(lost.raw());  // none where it is empty
}

void sum_on_host(std::byte* out, const Tensor& codes, float* lost, const CodedBlocks& blocks,
                 int block) {
  const Coder coder = coder_of(blocks.code);
  in_pieces(blocks.size(block), kChunk, [&](std::int64_t begin, std::int64_t n) {
    const std::int64_t at = code_bytes(blocks.code, begin);
    std::array<float, kChunk> sum{}, decoded{};
    coder.decode(sum.data(), code_of(codes, blocks, 0) + at, n);
    for (int r = 1; r < blocks.num; ++r) {
      coder.decode(decoded.data(), code_of(codes, blocks, r) + at, n);
      for (std::int64_t i = 0; i < n; ++i)
        sum[i] += decoded[i];
    }
    encode(blocks.code, out + at, sum.data(), lost ? lost + begin : nullptr, n);
  });
}

const char* name_of(Code code) {
  switch (code) {
    case Code::bfloat16:
      return "bfloat16";
    case Code::float16:
      return "float16";
    case Code::int8:
      return "int8";
  }
  throw LogicError("no such code");
}

void expect_blocks(const Tensor& codes, const CodedBlocks& blocks) {
  expect(codes.count() == blocks.num * code_bytes(blocks.code, blocks.block), "codes: shapes");
}

}  // namespace

std::int64_t code_bytes(Code code, std::int64_t n) {
  if (code != Code::int8) return 2 * n;
  return n + static_cast<std::int64_t>(sizeof(float)) * ((n + kCodedRun - 1) / kCodedRun);
}

void encode_blocks(Tensor& codes, const Tensor& values, Tensor& lost, const CodedBlocks& blocks,
                   Stream& stream) {
  expect_blocks(codes, blocks);
  expect(values.count() == blocks.count && (!lost || lost.count() == blocks.count),
         "encode_blocks: shapes");
  const Operation cost{.name = "compress",
                       .shape = {blocks.count},
                       .bytes_read = 1.0 * (values.bytes() + lost.bytes()),
                       .bytes_written = 1.0 * (codes.bytes() + lost.bytes()),
                       .detail = name_of(blocks.code)};
  run_on(
      stream, cost,
      [codes, values, lost, blocks] {
        for (int r = 0; r < blocks.num; ++r) {
          const std::int64_t begin = blocks.begin(r);
          encode(blocks.code, code_of(codes, blocks, r), values.data() + begin,
                 lost ? floats(lost) + begin : nullptr, blocks.size(r));
        }
      },
      [codes, values, lost, blocks, &stream]() mutable {
        cuda::encode_blocks(codes, values, lost, blocks, stream);
      });
}

void sum_codes(Tensor& sum, const Tensor& codes, Tensor& lost, const CodedBlocks& blocks, int block,
               Stream& stream) {
  expect_blocks(codes, blocks);
  expect(sum.count() == code_bytes(blocks.code, blocks.block) &&
             (!lost || lost.count() == blocks.block),
         "sum_codes: shapes");
  const Operation cost{.name = "sum_compressed",
                       .shape = {blocks.count},
                       .bytes_read = 1.0 * (codes.bytes() + lost.bytes()),
                       .bytes_written = 1.0 * (sum.bytes() + lost.bytes()),
                       .detail = name_of(blocks.code)};
  run_on(
      stream, cost,
      [sum, codes, lost, blocks, block] {
        sum_on_host(sum.raw(), codes, floats(lost), blocks, block);
      },
      [sum, codes, lost, blocks, block, &stream]() mutable {
        cuda::sum_codes(sum, codes, lost, blocks, block, stream);
      });
}

void decode_blocks(Tensor& values, const Tensor& codes, const CodedBlocks& blocks, Stream& stream) {
  expect_blocks(codes, blocks);
  expect(values.count() == blocks.count, "decode_blocks: shapes");
  const Operation cost{.name = "decompress",
                       .shape = {blocks.count},
                       .bytes_read = 1.0 * codes.bytes(),
                       .bytes_written = 1.0 * values.bytes(),
                       .detail = name_of(blocks.code)};
  run_on(
      stream, cost,
      [values, codes, blocks]() mutable {
        const Coder coder = coder_of(blocks.code);
        for (int r = 0; r < blocks.num; ++r)
          coder.decode(values.data() + blocks.begin(r), code_of(codes, blocks, r), blocks.size(r));
      },
      [values, codes, blocks, &stream]() mutable {
        cuda::decode_blocks(values, codes, blocks, stream);
      });
}

}  // namespace lockstep::kernels
