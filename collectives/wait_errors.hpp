// SPDX-License-Identifier: Apache-2.0
// What is said when another rank does not answer, or answers with something else.
#pragma once

#include <cstddef>
#include <string>

#include "runtime/base/error.hpp"

namespace lockstep {

// An operation was not complete by its deadline. The message says what was waited for; the
// communicator adds who has not come, and what they were doing.
class DeadlineError : public SystemError {
 public:
  using SystemError::SystemError;
};

// Another rank carries out another operation.
class MismatchError : public SystemError {
 public:
  using SystemError::SystemError;
};

// What a rank waits for: "sending 12 bytes to rank 3".
std::string sending(std::size_t bytes, int to);
std::string receiving(std::size_t bytes, int from);

// Throws DeadlineError: "no answer while `waiting_for`", and what to do.
[[noreturn]] void throw_timeout(const std::string& waiting_for);
// Throws MismatchError: `rank` came with another operation.
[[noreturn]] void throw_mismatch(int rank);
// Throws MismatchError unless the message has the expected size.
void expect_message(std::size_t received, std::size_t expected, int from);

}  // namespace lockstep
