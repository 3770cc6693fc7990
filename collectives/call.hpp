// SPDX-License-Identifier: Apache-2.0
// One collective operation, as every layer below the communicator sees it. The same struct for all
// of them, so that backends, algorithms, selection, recording and the flight recorder have one
// function each and not one per collective.
//
//   p ranks, n elements of the full vector, cut into blocks b_0 .. b_(p-1)
//
//                    in                    out                     root
//   all_reduce       n                     n: reduction of all in
//   reduce_scatter   n                     b_me of the reduction
//   all_gather       b_me                  n: all blocks
//   broadcast        n on the root         n                       who has it
//   reduce           n                     n on the root           who gets it
//   all_to_all       n: block r for r      n: block r from r       (p divides n)
//   gather           b_me                  n on the root           who gets it
//   scatter          n on the root         b_me                    who has it
//   send             n                                             to whom
//   receive                                n                       from whom
//   barrier
//
// `out` may be `in` where both have the same size (all_to_all: never), and b_me of a full vector
// may be a view of that very block; otherwise they do not overlap. `in` is not changed where it is
// apart.
#pragma once

#include <cstdint>

#include "collectives/elements.hpp"
#include "collectives/reduce.hpp"

namespace lockstep {

enum class Collective : std::uint8_t {
  all_reduce,
  reduce_scatter,
  all_gather,
  broadcast,
  reduce,
  all_to_all,
  gather,
  scatter,
  send,
  receive,
  barrier
};
inline constexpr int kNumCollectives = 11;

// send and receive, which two ranks make, and not the group.
constexpr bool is_message(Collective what) {
  return what == Collective::send || what == Collective::receive;
}

const char* name_of(Collective what);
// ConfigError lists the known names.
Collective collective_named(const char* name);

// Where the elements of a call lie: `shared` if Communicator::allocate of the same group gave the
// memory, on every rank.
enum class MemoryKind : std::uint8_t { plain, shared };
const char* name_of(MemoryKind memory);

struct Call {
  Collective what = Collective::barrier;
  Elements out{}, in{};
  DType dtype = DType::float32;
  Blocks blocks{};  // of the full vector
  ReduceOp op = ReduceOp::sum;
  int root = 0;  // or the peer
  MemoryKind memory = MemoryKind::plain;

  std::size_t count() const { return blocks.total(); }  // n
  std::size_t bytes() const { return count() * size_of(dtype); }
  // Block i of a full vector.
  Elements block(const Elements& full, int i) const { return full.at(blocks[i]); }
  // What all ranks must agree on: collective, count, type, operation, root, kind of memory.
  std::uint64_t fingerprint() const;
};

// The calls that algorithms make of each other, in place where out is in.
Call all_reduce_call(const Elements& out, const Elements& in, ReduceOp op, int ranks);
Call reduce_scatter_call(const Elements& out, const Elements& in, ReduceOp op, const Blocks& b);
Call all_gather_call(const Elements& out, const Elements& in, const Blocks& blocks);
Call broadcast_call(const Elements& data, int root, int ranks);
Call reduce_call(const Elements& out, const Elements& in, ReduceOp op, int root, int ranks);
Call all_to_all_call(const Elements& out, const Elements& in, int ranks);
Call gather_call(const Elements& out, const Elements& in, int root, const Blocks& blocks);
Call scatter_call(const Elements& out, const Elements& in, int root, const Blocks& blocks);
Call send_call(const Elements& data, int to);
Call receive_call(const Elements& data, int from);
Call barrier_call();

}  // namespace lockstep
