// SPDX-License-Identifier: Apache-2.0
#include "collectives/copy_bytes.hpp"

#include <cstring>

namespace lockstep {

namespace {

constexpr std::uintptr_t kPage = 4096, kBehind = 15;
constexpr std::size_t kLong = 2048;  // fewer are copied by vectors
constexpr std::size_t kVector = 64;

}  // namespace

bool copies_slowly(std::uintptr_t to, std::uintptr_t from, std::size_t bytes) {
  const std::uintptr_t behind = (to - from) % kPage;
  return bytes >= kLong && 0 < behind && behind <= kBehind;
}

// Backwards: what is loaded next then lies before all that was stored, also modulo a page.
void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (!copies_slowly(reinterpret_cast<std::uintptr_t>(to), reinterpret_cast<std::uintptr_t>(from),
                     bytes)) {
    if (bytes > 0) std::memmove(to, from, bytes);
    return;
  }
  std::size_t left = bytes;
  for (; left >= kVector; left -= kVector)
    std::memcpy(to + left - kVector, from + left - kVector, kVector);
  std::memcpy(to, from, left);
}

}  // namespace lockstep
