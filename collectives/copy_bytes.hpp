// SPDX-License-Identifier: Apache-2.0
// Copies between ranks, which find the bytes of each other wherever these happen to lie.
//
// libc and the kernel copy more than a few KiB by `rep movsb`, which takes 4 to 25 times as long on
// AMD's Zen 4 where the destination lies 1 to 15 bytes behind the source modulo a page
// (glibc bug 30994): blocks of whole pages and an element more end there. Such copies go another
// way.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep {

// Whether that many bytes would be copied slowly from one place to the other.
bool copies_slowly(std::uintptr_t to, std::uintptr_t from, std::size_t bytes);

// memmove, of areas that do not overlap where copies_slowly().
void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes);

}  // namespace lockstep
