// SPDX-License-Identifier: Apache-2.0
// Three kinds of error, three types: the user can fix it (ConfigError), the system failed
// (SystemError: MPI, files, memory), or we have a bug (LogicError). Only launch/ decides to die.
#pragma once

#include <stdexcept>
#include <string>

namespace lockstep {

// Where a check stands; recorded without a macro, alike in g++, clang++ and nvcc.
struct Site {
  const char* file;
  int line;
  static constexpr Site here(const char* f = __builtin_FILE(), int l = __builtin_LINE()) {
    return {f, l};
  }
};

// The message says which key or file, which value, and what is allowed: one line.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class SystemError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class LogicError : public std::logic_error {
 public:
  explicit LogicError(const std::string& what, Site at = Site::here());
};

// Another rank has already said what is wrong: end quietly, with its status.
class ReportedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws LogicError with the call site unless `condition` holds.
void expect(bool condition, const char* what, Site at = Site::here());

// Throws SystemError "what: strerror(errno)".
[[noreturn]] void throw_errno(const std::string& what);

}  // namespace lockstep
