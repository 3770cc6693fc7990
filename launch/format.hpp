// SPDX-License-Identifier: Apache-2.0
// printf into a string: std::format is not in every compiler that we support.
#pragma once

#include <cstdio>
#include <string>

namespace lockstep {

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

}  // namespace lockstep
