// SPDX-License-Identifier: Apache-2.0
// The message that a user sees.
#pragma once

#include <string>

#include "runtime/base/error.hpp"

namespace lockstep::test {

// What the ConfigError thrown by `f` says; "no error" if it throws none. Other errors pass through.
template <class F>
std::string config_error(F&& f) {
  try {
    f();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace lockstep::test
