// SPDX-License-Identifier: Apache-2.0
// Ranks as threads of this process, and the values that collectives are tested with.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "collectives/transports/threads.hpp"

namespace lockstep::test {

// Runs `body` once per rank, each in its thread; rethrows what the lowest failing rank threw.
// Assertions belong behind it: Catch2 counts in one thread only.
inline void on_ranks(int ranks, const std::function<void(Transport&)>& body,
                     double timeout_seconds = 20) {
  auto transports = make_thread_transports(ranks, timeout_seconds);
  std::vector<std::exception_ptr> errors(transports.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < transports.size(); ++r) {
    threads.emplace_back([&, r] {
      try {
        body(*transports[r]);
      } catch (...) {
        errors[r] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

template <class T>
Elements elements(std::vector<T>& values) {
  return {reinterpret_cast<std::byte*>(values.data()), values.size(), dtype_of<T>()};
}

// What rank r contributes at index i: 1, 2 or 3, so that sums and products of 8 ranks are exact in
// every type that holds 3^8, and 1 or 2 for uint8, where 2^7 is the most.
template <class T>
T contribution(int r, std::size_t i) {
  const auto k = static_cast<std::size_t>(r) * 7 + i * 5 + i / 3;
  if (sizeof(T) == 1) return static_cast<T>(1 + (k % 3 == 0 && r < 7));
  return static_cast<T>(1 + k % 3);
}

template <class T>
std::vector<T> contributions(int r, std::size_t count) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = contribution<T>(r, i);
  return values;
}

// The reduction of all ranks, one after the other, in 64-bit integers.
template <class T>
std::vector<T> serial_reduction(int ranks, std::size_t count, ReduceOp op) {
  std::vector<T> result(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto total = static_cast<std::int64_t>(contribution<T>(0, i));
    for (int r = 1; r < ranks; ++r) {
      const auto x = static_cast<std::int64_t>(contribution<T>(r, i));
      switch (op) {
        case ReduceOp::sum:
        case ReduceOp::average:
          total += x;
          break;
        case ReduceOp::product:
          total *= x;
          break;
        case ReduceOp::min:
          total = x < total ? x : total;
          break;
        case ReduceOp::max:
          total = x > total ? x : total;
          break;
      }
    }
    result[i] = static_cast<T>(total);
    if (op == ReduceOp::average) result[i] = static_cast<T>(result[i] / static_cast<T>(ranks));
  }
  return result;
}

// Elements [begin, end) of block r, as a vector of its own.
template <class T>
std::vector<T> block(const std::vector<T>& full, int ranks, int r) {
  const Block b = block_bounds(full.size(), ranks, r);
  const auto begin = full.begin() + static_cast<std::ptrdiff_t>(b.begin);
  return {begin, begin + static_cast<std::ptrdiff_t>(b.count)};
}

inline std::vector<std::size_t> counts_for(int ranks) {
  const auto p = static_cast<std::size_t>(ranks);
  return {0, 1, p - 1, p, p + 1, 64, 1000};
}

inline constexpr ReduceOp kOps[] = {ReduceOp::sum, ReduceOp::product, ReduceOp::min, ReduceOp::max,
                                    ReduceOp::average};

}  // namespace lockstep::test
