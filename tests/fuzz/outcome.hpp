// SPDX-License-Identifier: Apache-2.0
// What a parser may do with bytes from outside: give a value or throw a ConfigError of one line.
// All else ends the fuzzer with a finding.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lockstep::fuzz {

inline void expect(bool condition) {
  if (!condition) std::abort();
}

// Whether `parse` gave a value.
template <class Parse>
bool accepted(Parse&& parse) {
  try {
    parse();
    return true;
  } catch (const ConfigError& error) {
    expect(std::strlen(error.what()) > 0);
    return false;
  }
}

inline std::string text_of(const unsigned char* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace lockstep::fuzz
