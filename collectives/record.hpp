// SPDX-License-Identifier: Apache-2.0
// A collective operation as data: what every rank does, in its program order. Recorded from the
// algorithm itself (transports/recording.hpp); the verifier proves it (verify.hpp), a simulator can
// price it, a viewer draw it. One event is 32 bytes, each memory region in it 24.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collectives/algorithms/table.hpp"

namespace lockstep {

// The input and the output of a rank: memory of their own, or one and the same where the collective
// allows it (call.hpp). A broadcast always has one buffer.
enum class Buffers : std::uint8_t { apart, in_place };
// Whether ranks of one node have a SharedMemory, and whether what they show there has an address.
enum class Sharing : std::uint8_t { none, fetched, addressable };

// One call of a whole group, of blocks.size() ranks.
struct GroupCall {
  Collective what = Collective::barrier;
  Blocks blocks;
  DType dtype = DType::float32;
  ReduceOp op = ReduceOp::sum;
  int root = 0;
  Buffers buffers = Buffers::apart;
  std::vector<int> ranks_per_node{};  // neighbours; empty: all on one node
  Sharing sharing = Sharing::none;

  int ranks() const { return blocks.size(); }
  int node_of(int rank) const;
  GroupShape shape() const;
  // What part of the full vector a rank brings and gets; of no elements where it brings nothing.
  Block brings(int rank) const;
  Block gets(int rank) const;
  // What index i of the full vector must hold at `rank` in the end: which index of whose vector; of
  // a reduction, of all ranks' vectors.
  struct Origin {
    std::size_t index;
    int rank;  // -1: all
  };
  Origin origin(int rank, std::size_t i) const;
  bool served_by(const Algorithm& algorithm) const;
};

// Memory of a rank. `data` is input and output in one.
struct Area {
  enum class Kind : std::uint8_t { in, out, data, working, staging };
  Kind kind;
  std::size_t bytes;
};
const char* name_of(Area::Kind kind);

// Bytes of an area of a rank: mostly of the rank whose event it is, of another in shared memory.
struct Region {
  int rank = 0, area = 0;
  std::size_t begin = 0, bytes = 0;
};

struct TrackEvent {
  enum class What : std::uint8_t {
    send,         // posted: ins[0] to `peer`
    receive,      // posted: outs[0] from `peer`
    complete,     // waits for all messages of this rank up to `ticket`
    combine,      // outs[0] = ins[0] (op) ins[1]
    combine_all,  // every one of outs = ins[0] (op) ins[1] (op) ...
    copy,         // outs[0] = ins[0]
    work,         // computes for `ticket` picoseconds: of programs, no collective does
    // Of shared memory, among the ranks groups[peer]:
    barrier,
    stage,  // outs[0] = ins[0], then a barrier
    show,   // ins[0] is shown, and there is a barrier
    fetch   // outs[0] = ins[0], of rank `peer`: one reach into memory that is not mapped
  };
  What what;
  ReduceOp op;
  std::uint16_t num_outs;
  std::uint32_t num_ins;
  std::int32_t peer;
  std::uint32_t first_region;
  std::uint64_t ticket;
};
const char* name_of(TrackEvent::What what);

// What one rank does.
struct Track {
  std::vector<TrackEvent> events;
  std::vector<Region> regions;  // of all events: outs, then ins
  std::vector<Area> areas;
  Region in, out;  // of the call

  std::span<const Region> outs(const TrackEvent& e) const {
    return std::span(regions).subspan(e.first_region, e.num_outs);
  }
  std::span<const Region> ins(const TrackEvent& e) const {
    return std::span(regions).subspan(e.first_region + e.num_outs, e.num_ins);
  }
};

struct Schedule {
  GroupCall call;
  const char* label = "";  // the algorithm's
  std::vector<Track> ranks;
  std::vector<std::vector<int>> groups;  // that synchronize through shared memory
};

// The algorithm must serve the call.
Schedule record(const Algorithm& algorithm, const GroupCall& call);

}  // namespace lockstep
