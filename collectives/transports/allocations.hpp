// SPDX-License-Identifier: Apache-2.0
// The memory that a group has allocated in common, for translation between what a rank says of an
// address and the address where another sees it.
//
// Every call looks here, on two threads, so looking takes no lock: an entry is valid while its id
// stays what it was. Entries are reused and never freed before the table is.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "collectives/elements.hpp"
#include "collectives/transports/shared_segment.hpp"

namespace lockstep {

// Outlives the transport for as long as memory of it lives.
class Allocations {
 public:
  // One mapping with a part of `stride` bytes for each rank. Numbered from 1, alike on every rank:
  // allocating is collective.
  std::uint64_t add(std::byte* base, std::size_t stride) {
    std::lock_guard lock(changing_);
    Entry& entry = free_entry();
    entry.base.store(base, std::memory_order_relaxed);
    entry.stride.store(stride, std::memory_order_relaxed);
    entry.id.store(++last_, std::memory_order_release);
    return last_;
  }
  // By any thread.
  void remove(std::uint64_t id) {
    std::lock_guard lock(changing_);
    for (Chunk* chunk = &first_; chunk; chunk = chunk->next.load()) {
      for (Entry& entry : chunk->entries) {
        if (entry.id.load() == id) entry.id.store(0);
      }
    }
  }

  // Where in them `data` of `rank` lies; id 0: nowhere.
  Location find(const Elements& data, int rank) const {
    Location found;
    visit([&](std::uint64_t id, std::byte* base, std::size_t stride) {
      const std::byte* part = part_of(base, stride, rank);
      if (data.data < part || data.data + data.bytes() > part + stride) return false;
      found = {id, static_cast<std::uint64_t>(data.data - part)};
      return true;
    });
    return found;
  }
  // Null where it is none of the living.
  std::byte* address(const Location& at, int rank) const {
    std::byte* found = nullptr;
    visit([&](std::uint64_t id, std::byte* base, std::size_t stride) {
      if (id != at.id) return false;
      found = part_of(base, stride, rank) + at.offset;
      return true;
    });
    return found;
  }

 private:
  struct Entry {
    std::atomic<std::uint64_t> id{0};  // 0: free
    std::atomic<std::byte*> base{nullptr};
    std::atomic<std::size_t> stride{0};
  };
  struct Chunk {
    std::array<Entry, 16> entries;
    std::atomic<Chunk*> next{nullptr};
    std::unique_ptr<Chunk> owned;
  };

  static std::byte* part_of(std::byte* base, std::size_t stride, int rank) {
    return base + static_cast<std::size_t>(rank) * stride;
  }

  // Until `is_it` says so.
  template <class IsIt>
  void visit(IsIt is_it) const {
    for (const Chunk* chunk = &first_; chunk; chunk = chunk->next.load(std::memory_order_acquire)) {
      for (const Entry& entry : chunk->entries) {
        const std::uint64_t id = entry.id.load(std::memory_order_acquire);
        if (id == 0) continue;
        std::byte* base = entry.base.load(std::memory_order_acquire);
        const std::size_t stride = entry.stride.load(std::memory_order_acquire);
        const bool unchanged = entry.id.load(std::memory_order_relaxed) == id;
        if (unchanged && is_it(id, base, stride)) return;
      }
    }
  }

  Entry& free_entry() {
    for (Chunk* chunk = &first_;; chunk = chunk->owned.get()) {
      for (Entry& entry : chunk->entries) {
        if (entry.id.load() == 0) return entry;
      }
      if (chunk->owned) continue;
      chunk->owned = std::make_unique<Chunk>();
      chunk->next.store(chunk->owned.get(), std::memory_order_release);
    }
  }

  std::mutex changing_;
  Chunk first_;
  std::uint64_t last_ = 0;
};

}  // namespace lockstep
