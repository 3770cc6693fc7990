// SPDX-License-Identifier: Apache-2.0
#include "collectives/sample_call.hpp"

namespace lockstep {

Blocks Sample::blocks() const {
  const auto p = static_cast<std::size_t>(ranks);
  return {what == Collective::all_to_all ? count / p * p : count, ranks};
}

std::size_t Sample::in_count() const {
  switch (what) {
    case Collective::barrier:
      return 0;
    case Collective::all_gather:
    case Collective::gather:
      return blocks()[rank].count;
    case Collective::scatter:
      return rank == 0 ? count : 0;
    default:
      return blocks().total();
  }
}

std::size_t Sample::out_count() const {
  switch (what) {
    case Collective::barrier:
      return 0;
    case Collective::reduce_scatter:
    case Collective::scatter:
      return blocks()[rank].count;
    case Collective::reduce:
    case Collective::gather:
      return rank == 0 ? count : 0;
    default:
      return blocks().total();
  }
}

Call Sample::apart(std::byte* out, std::byte* in) const {
  const bool one_buffer = what == Collective::broadcast;
  return {.what = what,
          .out = {one_buffer ? in : out, out_count(), dtype},
          .in = {in, in_count(), dtype},
          .dtype = dtype,
          .blocks = blocks(),
          .op = op,
          .memory = memory};
}

Call Sample::in_place(std::byte* memory_of_both) const {
  std::byte *in = memory_of_both, *out = memory_of_both;
  const std::size_t own = blocks()[rank].begin * size_of(dtype);
  const std::size_t ins = in_count(), outs = out_count();
  if (memory_of_both && ins < outs && ins == blocks()[rank].count) in += own;
  if (memory_of_both && outs < ins && outs == blocks()[rank].count) out += own;
  return apart(out, in);
}

}  // namespace lockstep
