// SPDX-License-Identifier: Apache-2.0
#include "collectives/sizes.hpp"

#include <charconv>

namespace lockstep {

namespace {

constexpr std::string_view kSuffixes = "KMG";

}  // namespace

std::optional<std::size_t> bytes_from(std::string_view text) {
  std::size_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || end - rest > 1) return std::nullopt;
  if (rest == end) return value;
  const std::size_t power = kSuffixes.find(*rest);
  if (power == std::string_view::npos) return std::nullopt;
  const std::size_t shift = 10 * (power + 1);
  if (value > (static_cast<std::size_t>(-1) >> shift)) return std::nullopt;
  return value << shift;
}

std::string bytes_text(std::size_t bytes) {
  std::size_t power = 0;
  while (power < kSuffixes.size() && bytes > 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++power;
  }
  const std::string number = std::to_string(bytes);
  return power == 0 ? number : number + kSuffixes[power - 1];
}

std::optional<SizeRange> size_range_from(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view low = text.substr(0, colon);
  const std::string_view high = colon == std::string_view::npos ? low : text.substr(colon + 1);
  SizeRange range;
  if (colon == std::string_view::npos && text.empty()) return std::nullopt;
  if (!low.empty()) {
    const auto value = bytes_from(low);
    if (!value) return std::nullopt;
    range.low = *value;
  }
  if (!high.empty()) {
    const auto value = bytes_from(high);
    if (!value) return std::nullopt;
    range.high = *value;
  }
  if (range.low > range.high) return std::nullopt;
  return range;
}

}  // namespace lockstep
