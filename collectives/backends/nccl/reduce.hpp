// SPDX-License-Identifier: Apache-2.0
// The local steps of collectives/reduce.hpp on a GPU, in the order of a stream: the same results,
// bit for bit. Streaming: two reads and one write per element (finish: one and one).
#pragma once

#include "collectives/reduce.hpp"
#include "runtime/device/stream.hpp"

namespace lockstep::nccl {

// out = a (op) b; out may be a or b.
void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op,
             Stream& stream);
// An average is divided by the number of contributions; nothing for the others.
void finish(const Elements& result, ReduceOp op, int contributions, Stream& stream);

}  // namespace lockstep::nccl
