// SPDX-License-Identifier: Apache-2.0
// printf into a string of any length: std::format is not in every compiler that we support.
#pragma once

#include <cstdio>
#include <string>

namespace lockstep {

template <class... Values>
std::string format(const char* pattern, Values... values) {
  const int length = std::snprintf(nullptr, 0, pattern, values...);
  std::string text(static_cast<std::size_t>(length > 0 ? length : 0), '\0');
  std::snprintf(text.data(), text.size() + 1, pattern, values...);
  return text;
}

}  // namespace lockstep
