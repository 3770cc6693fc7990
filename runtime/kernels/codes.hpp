// SPDX-License-Identifier: Apache-2.0
// Vectors of float32 in a code of fewer bytes, for what ranks send each other. Streaming: each pass
// reads what it codes or decodes once. The same bits on the host and on a GPU.
//
//   bfloat16, float16   to nearest, ties to even
//   int8                runs of 256, a float32 scale before each:
//                       scale = max|x| / 127, q = round(x / scale); a run with a value that is no
//                       number is none
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

enum class Code : std::uint8_t { bfloat16, float16, int8 };

// Code k * kCodedRun elements before others, and both parts are codes.
inline constexpr std::int64_t kCodedRun = 256;
std::int64_t code_bytes(Code code, std::int64_t n);

// A vector in `num` blocks, of which the last ones may be smaller or empty. The code of block r
// begins at byte r * code_bytes(code, block), whatever its alignment.
struct CodedBlocks {
  Code code;
  int num;
  std::int64_t count, block;

  std::int64_t begin(int r) const { return std::min(count, r * block); }
  std::int64_t size(int r) const { return std::min(block, count - begin(r)); }
};

// codes = code of values + lost, and `lost` becomes what that lost of it: error feedback. Without
// where `lost` is empty. A loss that is not finite would stay for ever: it is forgotten.
void encode_blocks(Tensor& codes, const Tensor& values, Tensor& lost, const CodedBlocks& blocks,
                   Stream& stream);

// Of one block, for which each of the `num` codes is a contribution: sum = code of their sum in
// order, in float32, with a `lost` of its own.
void sum_codes(Tensor& sum, const Tensor& codes, Tensor& lost, const CodedBlocks& blocks, int block,
               Stream& stream);

void decode_blocks(Tensor& values, const Tensor& codes, const CodedBlocks& blocks, Stream& stream);

// codes.cu
namespace cuda {
void encode_blocks(Tensor& codes, const Tensor& values, Tensor& lost, const CodedBlocks& blocks,
                   Stream& stream);
void sum_codes(Tensor& sum, const Tensor& codes, Tensor& lost, const CodedBlocks& blocks, int block,
               Stream& stream);
void decode_blocks(Tensor& values, const Tensor& codes, const CodedBlocks& blocks, Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
