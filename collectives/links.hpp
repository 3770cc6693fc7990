// SPDX-License-Identifier: Apache-2.0
// The constants of every algorithm's formula: what messages, reductions and shared memory cost in a
// group. The defaults are figures of one machine (two x86 cores, Open MPI 4.1; between nodes: a
// 100 Gbit/s network); measure.hpp measures them, a machine profile will hold them. Each group of
// constants says where it is from: "default" or "measured".
#pragma once

#include "collectives/call.hpp"

namespace lockstep {

struct Link {
  double alpha = 0;  // seconds per message
  double beta = 0;   // seconds per byte sent
  double gamma = 0;  // seconds per byte reduced
  const char* source = "default";
  const char* gamma_source = "default";
};

// Among ranks that address each other's memory.
struct SharedCosts {
  double sync = 0;          // seconds until all have seen a flag of all, per rank of the group
  double crowded_sync = 0;  // the same where ranks outnumber cores: the scheduler takes turns
  double copy = 0;          // seconds per byte that one core copies
  double reduce = 0;        // seconds per byte that one core reads to reduce it
  double stage = 0;         // seconds per byte staged, and for each rank that reads it there
  double reach = 0;  // seconds to begin to read memory that is not mapped here (a system call)
  double fetch = 0;  // seconds per byte of that
  const char* source = "default";
};

// Where the ranks of a group lie, and, for one call, its elements.
struct GroupShape {
  int ranks = 1;
  int nodes = 1;
  bool even = true;                       // every node has ranks/nodes of them
  bool shared_memory = false;             // Transport::shared is there
  bool shared_inside = false;             // the ranks of each node share one memory
  bool reads_private = false;             // which reads what is not from allocate(), too
  bool crowded = false;                   // ranks outnumber cores on a node
  MemoryKind memory = MemoryKind::plain;  // of the call that is priced
  int per_node() const { return ranks / nodes; }
  // The ranks of one node, and those of equal place on each.
  GroupShape inside() const;
  GroupShape across() const;
};

// Ranks that are not there: as many on each node as on another if they divide, all that can sharing
// memory.
inline GroupShape assumed_shape(int ranks, int nodes) {
  const bool several = ranks > nodes;
  return {.ranks = ranks,
          .nodes = nodes,
          .even = ranks % nodes == 0,
          .shared_memory = several && nodes == 1,
          .shared_inside = several,
          .reads_private = several};
}

inline GroupShape GroupShape::inside() const {
  return {.ranks = (ranks + nodes - 1) / nodes,  // at least, on the fullest
          .shared_memory = shared_inside,
          .shared_inside = shared_inside,
          .reads_private = reads_private,
          .crowded = crowded,
          .memory = memory};
}
inline GroupShape GroupShape::across() const {
  return {.ranks = nodes, .nodes = nodes};
}

struct Links {
  Link inside{.alpha = 1e-6, .beta = 1 / 8e9, .gamma = 1 / 12e9};
  Link across{.alpha = 3e-6, .beta = 1 / 11e9, .gamma = 1 / 12e9};
  SharedCosts shared{.sync = 0.07e-6,
                     .crowded_sync = 1e-6,
                     .copy = 1 / 60e9,
                     .reduce = 1 / 80e9,
                     .stage = 1 / 12e9,
                     .reach = 2.2e-6,
                     .fetch = 1 / 14e9};

  // The slowest link that messages of an algorithm which does not know of nodes take.
  // Where ranks outnumber cores, each waits until all others had their turn.
  Link of(const GroupShape& group) const {
    Link link = group.nodes > 1 ? across : inside;
    if (group.crowded) link.alpha += group.ranks * shared.crowded_sync;
    return link;
  }
};

}  // namespace lockstep
