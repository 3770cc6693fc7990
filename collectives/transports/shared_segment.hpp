// SPDX-License-Identifier: Apache-2.0
// What lies where in the segment of a group that shares memory. All of it is zero at first.
//
//   flags     two per rank: how often it has arrived at a barrier, and with what
//   stages    two per rank
//             (two, used in turn: nobody is two barriers ahead of a reader)
//   channels  one per ordered pair of ranks: a ring of slots
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "collectives/shared_memory.hpp"

namespace lockstep {

inline constexpr std::size_t kLine = 128;  // two cache lines: processors fetch them in pairs
inline constexpr std::size_t kSlots = 4;

// Where a rank's elements lie: `offset` in its part of allocation `id`, or, where id is 0, at the
// address `offset` of its private memory. Of what is staged: the number of bytes.
struct Location {
  std::uint64_t id = 0, offset = 0;
};

// What a rank brings to a barrier. Few bytes to stage travel in the line of the flag itself.
struct alignas(kLine) Flag {
  std::atomic<std::uint64_t> arrived;  // how often
  std::uint64_t fingerprint;
  Location shown;
  std::byte staged[kLine - 32];
};
static_assert(sizeof(Flag) == kLine);

// A message, or a piece of one.
struct Slot {
  std::uint64_t fingerprint, message_bytes;
  std::uint64_t piece_bytes;  // that lie in the slot; 0: the receiver fetches it all from `where`
  Location where;
};

struct alignas(kLine) Channel {
  std::atomic<std::uint64_t> posted;                // by the sender
  alignas(kLine) std::atomic<std::uint64_t> taken;  // by the receiver
  alignas(kLine) Slot slots[kSlots];
};

class SegmentLayout {
 public:
  explicit SegmentLayout(int ranks)
      : ranks_(static_cast<std::size_t>(ranks)),
        slot_bytes_(std::clamp(kChannelBudget / (ranks_ * ranks_ * kSlots) / kLine * kLine,
                               2 * kLine, std::size_t{4096})) {}

  std::size_t bytes() const { return channels() + ranks_ * ranks_ * channel_bytes(); }
  std::size_t slot_bytes() const { return slot_bytes_; }

  Flag& flag(std::byte* base, int rank, std::uint64_t turn) const {
    return reinterpret_cast<Flag*>(base)[2 * index(rank) + turn % 2];
  }
  std::byte* stage(std::byte* base, int rank, std::uint64_t turn) const {
    return base + stages() + (2 * index(rank) + turn % 2) * kStageBytes;
  }
  Channel& channel(std::byte* base, int from, int to) const {
    return *reinterpret_cast<Channel*>(channel_at(base, from, to));
  }
  std::byte* slot_data(std::byte* base, int from, int to, std::uint64_t k) const {
    return channel_at(base, from, to) + sizeof(Channel) + k % kSlots * slot_bytes_;
  }

 private:
  static constexpr std::size_t kChannelBudget = std::size_t{32} << 20;

  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
  std::size_t stages() const { return ranks_ * 2 * sizeof(Flag); }
  std::size_t channels() const { return stages() + ranks_ * 2 * kStageBytes; }
  std::size_t channel_bytes() const { return sizeof(Channel) + kSlots * slot_bytes_; }
  std::byte* channel_at(std::byte* base, int from, int to) const {
    return base + channels() + (index(from) * ranks_ + index(to)) * channel_bytes();
  }

  std::size_t ranks_, slot_bytes_;
};

}  // namespace lockstep
