// SPDX-License-Identifier: Apache-2.0
// Element-wise reductions, looked up by (type, operation) at run time. Streaming: two reads and one
// write per element, vectorized.
#pragma once

#include <cstdint>

#include "collectives/elements.hpp"

namespace lockstep {

enum class ReduceOp : std::uint8_t { sum, product, min, max, average };

// out = a (op) b, element by element; out may be a or b. float32, float64, int32, int64, uint8.
// `average` adds: whoever completed the sum divides it once, by finish().
void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op);

// What is left to do on a completed result: `average` divides by the number of contributions
// (integers towards zero); nothing for the others.
void finish(const Elements& result, ReduceOp op, int contributions);

}  // namespace lockstep
