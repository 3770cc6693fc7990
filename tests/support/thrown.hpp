// SPDX-License-Identifier: Apache-2.0
// The text of an error, for tests of what users will read.
#pragma once

#include <string>

namespace lockstep::test {

// What `action` throws as `Error`; "" if it throws nothing. Other types pass.
template <class Error, class Action>
std::string thrown(Action action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace lockstep::test
