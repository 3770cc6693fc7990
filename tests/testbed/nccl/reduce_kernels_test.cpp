// SPDX-License-Identifier: Apache-2.0
// The kernels that add what travels between GPUs, on the emulated one: bit for bit what the host's
// loops make of the same numbers, for every type, operation and end of the vector.
#include <cstring>
#include <random>
#include <vector>

#include "collectives/backends/nccl/reduce.hpp"
#include "runtime/base/half.hpp"
#include "runtime/base/with_type.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

using Bytes = std::vector<std::byte>;

// Of either sign, whole in some places; none is not a number.
Bytes numbers(DType dtype, std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  Bytes bytes(count * size_of(dtype));
  with_type(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::size_t i = 0; i < count; ++i) {
      const float x = static_cast<float>(random() % 2001) / 8 - (size_of(dtype) == 1 ? 0 : 125);
      const T value = static_cast<T>(x);
      std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
    }
    return 0;
  });
  return bytes;
}

constexpr DType kTypes[] = {DType::float32, DType::float64, DType::bfloat16, DType::float16,
                            DType::int32,   DType::int64,   DType::uint8};

}  // namespace

TEST_CASE("kernels combine and divide as the host does") {
  const auto stream = make_inline_stream(StreamKind::communication);
  for (const DType dtype : kTypes) {
    for (int k = 0; k < kNumReduceOps; ++k) {
      const auto op = static_cast<ReduceOp>(k);
      for (const std::size_t count : {0, 1, 255, 257, 1000}) {
        INFO(name_of(dtype) << " " << name_of(op) << " of " << count);
        Bytes a = numbers(dtype, count, 1), b = numbers(dtype, count, 2);
        Bytes got(a.size()), wanted(a.size());
        const auto elements = [&](Bytes& x) { return Elements{x.data(), count, dtype}; };
        combine(elements(wanted), elements(a), elements(b), op);
        finish(elements(wanted), op, 3);
        nccl::combine(elements(got), elements(a), elements(b), op, *stream);
        nccl::finish(elements(got), op, 3, *stream);
        CHECK(got == wanted);
        nccl::combine(elements(a), elements(a), elements(b), op, *stream);  // in place
        nccl::finish(elements(a), op, 3, *stream);
        CHECK(a == wanted);
      }
    }
  }
}

TEST_CASE("kernels of more elements than threads of a launch") {
  constexpr std::size_t kCount = 2048 * 256 + 300;
  const auto stream = make_inline_stream(StreamKind::communication);
  Bytes a = numbers(DType::uint8, kCount, 1), b = numbers(DType::uint8, kCount, 2);
  Bytes got(kCount), wanted(kCount);
  const auto elements = [&](Bytes& x) { return Elements{x.data(), kCount, DType::uint8}; };
  combine(elements(wanted), elements(a), elements(b), ReduceOp::sum);
  nccl::combine(elements(got), elements(a), elements(b), ReduceOp::sum, *stream);
  CHECK(got == wanted);
}
