// SPDX-License-Identifier: Apache-2.0
// What is said when another rank does not answer, or answers with something else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/base/error.hpp"

namespace lockstep {

// An operation was not complete by its deadline. The message says what was waited for; the flight
// recorder adds who has not come, and what they were doing.
class DeadlineError : public SystemError {
 public:
  using SystemError::SystemError;
};

// Ranks have called different operations.
class DisagreementError : public SystemError {
 public:
  using SystemError::SystemError;
};

// Why an operation cannot complete, with the rank that is to blame. MPI may still be at work on it:
// nobody should call MPI any more but to abort.
class VerdictError : public SystemError {
 public:
  enum class Voice : std::uint8_t { this_rank, another_rank };
  VerdictError(const std::string& what, Voice voice) : SystemError(what), voice_(voice) {}
  // Who says it: all ranks of a node come to the same verdict.
  Voice voice() const { return voice_; }

 private:
  Voice voice_;
};

// What a rank waits for: "sending 12 bytes to rank 3".
std::string sending(std::size_t bytes, int to);
std::string receiving(std::size_t bytes, int from);

// Throws DeadlineError: "no answer while `waiting_for`", and what to do.
[[noreturn]] void throw_timeout(const std::string& waiting_for);
// Throws DisagreementError: rank `from` is in another operation.
[[noreturn]] void throw_disagreement(int from);
// Throws DisagreementError unless the message has the expected size.
void expect_message(std::size_t received, std::size_t expected, int from);

}  // namespace lockstep
