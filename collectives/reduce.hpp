// SPDX-License-Identifier: Apache-2.0
// Element-wise reductions, looked up by (type, operation) at run time. Streaming: two reads and one
// write per element, vectorized.
#pragma once

#include <cstdint>
#include <span>

#include "collectives/elements.hpp"

namespace lockstep {

enum class ReduceOp : std::uint8_t { sum, product, min, max, average };
inline constexpr int kNumReduceOps = 5;

constexpr const char* name_of(ReduceOp op) {
  constexpr const char* kNames[kNumReduceOps] = {"sum", "product", "min", "max", "average"};
  return kNames[static_cast<int>(op)];
}

// out = a (op) b, element by element; out may be a or b. All types; 16-bit
// floats are added in float32 and rounded once per call.
// `average` adds: whoever completed the sum divides it once, by finish().
void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op);

// Every one of outs = in[0] (op) in[1] (op) ..., from left to right; an out may be one of the
// inputs. Reads each input once and keeps partial results in the cache.
void combine_all(std::span<const Elements> outs, std::span<const Elements> in, ReduceOp op);

// What is left to do on a completed result (which an average may overflow, as a sum would):
// `average` divides by the number of contributions (integers towards zero); nothing for the others.
void finish(const Elements& result, ReduceOp op, int contributions);

}  // namespace lockstep
