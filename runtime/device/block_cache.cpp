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
constexpr std::size_t kOwnPages = 128 << 10;  // bytes; classes from there on are whole pages

// Bytes from `begin`, a page's, to the next huge page.
std::size_t to_huge_page(const std::byte* begin) {
  return (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
}

void unmap(void* begin, std::size_t bytes) noexcept {
  if (bytes > 0) munmap(begin, bytes);  // fails for no mapping of ours
}

// From the system and not from the heap, whose pages are small where they were touched before,
// whatever is advised then: to copy 8 MB of them to another rank takes three times as long.
void* map_pages(std::size_t bytes) {
  const bool huge = bytes >= kHugePage;
  const std::size_t spare = huge ? kHugePage : 0;
  void* mapped =
      mmap(nullptr, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  if (!huge) return mapped;
  auto* begin = static_cast<std::byte*>(mapped);
  const std::size_t before = to_huge_page(begin);
  unmap(begin, before);
  unmap(begin + before + bytes, spare - before);
  madvise(begin + before, bytes, MADV_HUGEPAGE);  // advice: failure changes nothing
  return begin + before;
}

void* from_system(std::size_t bytes) {
  void* block = bytes >= kOwnPages ? map_pages(bytes) : std::aligned_alloc(kLine, bytes);
  if (!block) {
    throw SystemError("out of memory: " + std::to_string(bytes >> 20) +
                      " MiB more were asked for; use a smaller batch.micro or model");
  }
  return block;
}

void to_system(void* block, std::size_t bytes) noexcept {
  bytes >= kOwnPages ? unmap(block, bytes) : std::free(block);
}
}  // namespace

std::size_t size_class(std::size_t bytes) {
  if (bytes <= kLine) return kLine;
  const std::size_t step = std::max(std::bit_floor(bytes - 1) / 8, kLine);
  return (bytes + step - 1) / step * step;
}

std::size_t most_without_huge_pages() {
  return kHugePage - kHugePage / 16;  // the class before it
}

BlockCache::~BlockCache() {
  for (auto& [size, blocks] : free_) {
    for (void* block : blocks)
      to_system(block, size);
  }
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
