// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/block_cache.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <string>

#include <sys/mman.h>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {
constexpr std::size_t kLine = 64, kHugePage = std::size_t{2} << 20;

void* from_system(std::size_t bytes) {
  const std::size_t align = bytes >= 2 * kHugePage ? kHugePage : kLine;
  void* block = std::aligned_alloc(align, (bytes + align - 1) / align * align);
  if (!block) {
    throw SystemError("out of memory: " + std::to_string(bytes >> 20) +
                      " MiB more were asked for; use a smaller batch.micro or model");
  }
  if (align == kHugePage) madvise(block, bytes, MADV_HUGEPAGE);  // advice: failure changes nothing
  return block;
}
}  // namespace

std::size_t size_class(std::size_t bytes) {
  if (bytes <= kLine) return kLine;
  const std::size_t step = std::max(std::bit_floor(bytes - 1) / 8, kLine);
  return (bytes + step - 1) / step * step;
}

BlockCache::~BlockCache() {
  for (auto& [size, blocks] : free_) {
    for (void* block : blocks)
      std::free(block);
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
