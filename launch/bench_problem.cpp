// SPDX-License-Identifier: Apache-2.0
#include "launch/bench_problem.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/base/with_type.hpp"

namespace lockstep {

namespace {

// 1 or 2; more than seven factors of 2 would leave the narrow types.
std::int64_t brought(int rank, std::size_t i, ReduceOp op) {
  if (op == ReduceOp::product && rank >= 7) return 1;
  return 1 + static_cast<std::int64_t>((static_cast<std::size_t>(rank) * 3 + i + i / 5) % 2);
}

std::int64_t reduced(int ranks, std::size_t i, ReduceOp op) {
  std::int64_t total = brought(0, i, op);
  for (int r = 1; r < ranks; ++r) {
    const std::int64_t x = brought(r, i, op);
    if (op == ReduceOp::sum || op == ReduceOp::average) total += x;
    if (op == ReduceOp::product) total *= x;
    if (op == ReduceOp::min) total = std::min(total, x);
    if (op == ReduceOp::max) total = std::max(total, x);
  }
  return total;
}

std::int64_t expected(const Sample& s, const Blocks& blocks, std::size_t i) {
  const std::size_t own = blocks[s.rank].begin;
  switch (s.what) {
    case Collective::all_reduce:
    case Collective::reduce:
      return reduced(s.ranks, i, s.op);
    case Collective::reduce_scatter:
      return reduced(s.ranks, own + i, s.op);
    case Collective::all_gather:
    case Collective::gather:
      return brought(blocks.owner_of(i), i, s.op);
    case Collective::broadcast:
      return brought(0, i, s.op);
    case Collective::scatter:
      return brought(0, own + i, s.op);
    case Collective::all_to_all: {
      const int from = blocks.owner_of(i);
      return brought(from, own + i - blocks[from].begin, s.op);
    }
    default:
      return 0;
  }
}

template <class T>
T value_of(std::int64_t x) {
  if constexpr (sizeof(T) == 2) {
    return T(static_cast<float>(x));
  } else {
    return static_cast<T>(x);
  }
}

}  // namespace

std::vector<std::byte> bench_input(const Sample& sample) {
  const bool part = sample.what == Collective::all_gather || sample.what == Collective::gather;
  const std::size_t begin = part ? sample.blocks()[sample.rank].begin : 0;
  std::vector<std::byte> input(sample.in_count() * size_of(sample.dtype));
  with_type(sample.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::size_t i = 0; i < sample.in_count(); ++i) {
      const T value = value_of<T>(brought(sample.rank, begin + i, sample.op));
      std::memcpy(input.data() + i * sizeof(T), &value, sizeof(T));
    }
    return 0;
  });
  return input;
}

std::string bench_mistake(const Sample& sample, const Elements& out) {
  const Blocks blocks = sample.blocks();
  return with_type(sample.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* values = reinterpret_cast<const T*>(out.data);
    for (std::size_t i = 0; i < sample.out_count(); ++i) {
      const T right = value_of<T>(expected(sample, blocks, i));
      if (values[i] == right) continue;
      return "element " + std::to_string(i) + " is " +
             std::to_string(static_cast<double>(static_cast<float>(values[i]))) + " instead of " +
             std::to_string(static_cast<double>(static_cast<float>(right)));
    }
    return std::string();
  });
}

}  // namespace lockstep
