// SPDX-License-Identifier: Apache-2.0
// What ranks that can address each other's memory do besides sending messages. All functions are
// collective: every rank of the group calls them in the same order.
#pragma once

#include <span>
#include <vector>

#include "collectives/elements.hpp"

namespace lockstep {

// What a rank may stage at once.
inline constexpr std::size_t kStageBytes = std::size_t{32} << 10;

class SharedMemory {
 public:
  SharedMemory() = default;
  virtual ~SharedMemory() = default;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  // Ranks outnumber cores. The same answer on every rank of a job.
  virtual bool crowded() const = 0;

  // Nobody returns before all have come; what was written before is then seen by all.
  virtual void barrier() = 0;

  // Copies `data` to where all can read it, and returns when all have. staged(r) is what rank r
  // staged, with the count of what this rank did, until this rank comes to its next barrier, stage
  // or show. No barrier is needed behind it: areas are used in turn. At most kStageBytes.
  virtual void stage(const Elements& data) = 0;
  virtual Elements staged(int rank) = 0;
  std::span<const Elements> staged_by_all(int ranks) {
    all_.clear();
    for (int r = 0; r < ranks; ++r)
      all_.push_back(staged(r));
    return all_;
  }

  // Shows `data` to all, and returns when all have shown theirs. Until the next barrier() it may be
  // read, and where addressable() written, by the others; a rank that goes on must pass one.
  virtual void show(const Elements& data) = 0;
  // Every rank's shown memory has an address here (the same answer on every rank): it came from
  // Communicator::allocate.
  virtual bool addressable() const = 0;
  virtual Elements shown(int rank) = 0;  // of others only where addressable()
  // Copies the elements from `begin` of what `rank` shows: by a system call where it has no
  // address, which works only where reads_private().
  virtual bool reads_private() const = 0;
  virtual void fetch(const Elements& out, int rank, std::size_t begin) = 0;
  std::span<const Elements> shown_by_all(int ranks, const Block& block) {
    all_.clear();
    for (int r = 0; r < ranks; ++r)
      all_.push_back(shown(r).at(block));
    return all_;
  }

 private:
  std::vector<Elements> all_;  // kept, so that a short call allocates nothing
};

}  // namespace lockstep
