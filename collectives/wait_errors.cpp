// SPDX-License-Identifier: Apache-2.0
#include "collectives/wait_errors.hpp"

namespace lockstep {

std::string sending(std::size_t bytes, int to) {
  return "sending " + std::to_string(bytes) + " bytes to rank " + std::to_string(to);
}

std::string receiving(std::size_t bytes, int from) {
  return "receiving " + std::to_string(bytes) + " bytes from rank " + std::to_string(from);
}

void throw_timeout(const std::string& waiting_for) {
  throw DeadlineError("no answer in time while " + waiting_for +
                      ": a rank has ended, hangs, or called something else; see the last messages "
                      "of the ranks, or raise collectives.timeout_seconds if one is only slow");
}

void throw_disagreement(int from) {
  throw DisagreementError("rank " + std::to_string(from) + " is in another operation");
}

void expect_message(std::size_t received, std::size_t expected, int from) {
  if (received == expected) return;
  throw DisagreementError("rank " + std::to_string(from) + " sent " + std::to_string(received) +
                          " bytes where " + std::to_string(expected) +
                          " were expected: the ranks called different operations");
}

}  // namespace lockstep
