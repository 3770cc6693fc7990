// SPDX-License-Identifier: Apache-2.0
// Caching allocator for host memory: blocks come back to a free list of their size class instead
// of to the system, so a training step after the first allocates nothing and faults no page.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace lockstep {

// Size classes have at most 1/8 waste: eight steps between powers of two, 64 bytes at least.
std::size_t size_class(std::size_t bytes);
// The longest blocks without huge pages, where the system has any.
std::size_t most_without_huge_pages();

class BlockCache {
 public:
  BlockCache() = default;
  ~BlockCache();  // every block must have been given back
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  void* take(std::size_t bytes);  // 64-byte aligned; throws SystemError when the system is out
  void give_back(void* block, std::size_t bytes) noexcept;
  std::size_t reserved() const;

 private:
  struct Region {
    std::byte* begin;
    std::size_t bytes, used;
  };

  void* from_system(std::size_t bytes);
  void* cut_from_region(std::size_t bytes);
  static std::byte* map_region(std::size_t bytes);

  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::vector<Region> regions_;
  std::size_t reserved_ = 0;
};

}  // namespace lockstep
