// SPDX-License-Identifier: Apache-2.0
// Sizes as people write them: 512, 64K, 4M, 1G. K is 1024.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

std::optional<std::size_t> bytes_from(std::string_view text);
// The shortest of these forms that is exact.
std::string bytes_text(std::size_t bytes);

// "8:64M", ends included; one size is a range of itself, an end left out is open (0, all).
struct SizeRange {
  std::size_t low = 0, high = static_cast<std::size_t>(-1);
};
std::optional<SizeRange> size_range_from(std::string_view text);

}  // namespace lockstep
