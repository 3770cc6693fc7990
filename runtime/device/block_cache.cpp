// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/block_cache.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <sys/mman.h>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {
constexpr std::size_t kLine = 64, kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLong = 128 << 10;  // bytes of a block; shorter ones are the heap's
constexpr std::size_t kRegion = 16 * kHugePage;

std::size_t rounded_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

void unmap(std::byte* begin, std::size_t bytes) noexcept {
  if (bytes > 0) munmap(begin, bytes);  // fails for no mapping of ours
}
}  // namespace

std::size_t size_class(std::size_t bytes) {
  if (bytes <= kLine) return kLine;
  const std::size_t step = std::max(std::bit_floor(bytes - 1) / 8, kLine);
  return (bytes + step - 1) / step * step;
}

std::size_t most_without_huge_pages() {
  return kLong - kLong / 16;  // the class before it
}

// Whole huge pages; null where the system is out.
std::byte* BlockCache::map_region(std::size_t bytes) {
  void* mapped =
      mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* first = static_cast<std::byte*>(mapped);
  const auto at = reinterpret_cast<std::uintptr_t>(first);
  const std::size_t before = rounded_up(at, kHugePage) - at;
  unmap(first, before);
  unmap(first + before + bytes, kHugePage - before);
  madvise(first + before, bytes, MADV_HUGEPAGE);  // advice: failure changes nothing
  return first + before;
}

void* BlockCache::cut_from_region(std::size_t bytes) {
  auto fits = [bytes](const Region& r) { return r.bytes - r.used >= bytes; };
  auto region = std::find_if(regions_.begin(), regions_.end(), fits);
  if (region == regions_.end()) {
    const std::size_t size = rounded_up(std::max(bytes, kRegion), kHugePage);
    std::byte* begin = map_region(size);
    if (!begin) return nullptr;
    region = regions_.insert(regions_.end(), {begin, size, 0});
  }
  void* block = region->begin + region->used;
  region->used += bytes;
  return block;
}

void* BlockCache::from_system(std::size_t bytes) {
  void* block = bytes >= kLong ? cut_from_region(bytes) : std::aligned_alloc(kLine, bytes);
  if (block) return block;
  throw SystemError("out of memory: " + std::to_string(bytes >> 20) +
                    " MiB more were asked for; use a smaller batch.micro or model");
}

BlockCache::~BlockCache() {
  for (auto& [size, blocks] : free_) {
    for (void* block : blocks) {
      if (size < kLong) std::free(block);
    }
  }
  for (const Region& region : regions_)
    unmap(region.begin, region.bytes);
}

void* BlockCache::take(std::size_t bytes) {
  const std::size_t size = size_class(bytes);
  std::lock_guard lock(mutex_);
  auto& blocks = free_[size];
  if (blocks.empty()) {
    void* fresh = from_system(size);
    reserved_ += size;
    return fresh;
  }
  void* block = blocks.back();
  blocks.pop_back();
  return block;
}

void BlockCache::give_back(void* block, std::size_t bytes) noexcept {
  std::lock_guard lock(mutex_);
  free_[size_class(bytes)].push_back(block);
}

std::size_t BlockCache::reserved() const {
  std::lock_guard lock(mutex_);
  return reserved_;
}

}  // namespace lockstep
