// SPDX-License-Identifier: Apache-2.0
#include "collectives/process_state.hpp"

#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace lockstep {

namespace {

constexpr int kStartField = 22, kStateField = 3;

ProcessState state_of(char letter) {
  switch (letter) {
    case 'T':
    case 't':
      return ProcessState::stopped;
    case 'Z':
    case 'X':
      return ProcessState::ended;
    default:
      return ProcessState::runs;
  }
}

}  // namespace

Process look_at_process(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) {
    const bool gone = kill(pid, 0) != 0 && errno == ESRCH;
    return {gone ? ProcessState::ended : ProcessState::unknown, 0};
  }
  std::istringstream fields(text.substr(name_end + 1));
  char letter = '?';
  fields >> letter;
  std::string skipped;
  for (int i = kStateField + 1; i < kStartField; ++i)
    fields >> skipped;
  Process process{state_of(letter), 0};
  fields >> process.start;
  return process;
}

}  // namespace lockstep
