// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/error.hpp"

#include <cerrno>
#include <cstring>

namespace lockstep {

LogicError::LogicError(const std::string& what, Site at)
    : std::logic_error(std::string(at.file) + ":" + std::to_string(at.line) + ": " + what +
                       " (this is a bug in Lockstep)") {}

void expect(bool condition, const char* what, Site at) {
  if (!condition) throw LogicError(what, at);
}

void throw_errno(const std::string& what) {
  throw SystemError(what + ": " + std::strerror(errno));
}

}  // namespace lockstep
