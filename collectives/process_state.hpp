// SPDX-License-Identifier: Apache-2.0
// What the kernel says of another process of this node: /proc/PID/stat, see proc(5).
#pragma once

#include <cstdint>

namespace lockstep {

enum class ProcessState : std::uint8_t { unknown, runs, stopped, ended };

struct Process {
  ProcessState state = ProcessState::unknown;
  std::uint64_t start = 0;  // when it began: tells a process from a later one of the same number
};

// A zombie has ended. A system call or two, some 10 us.
Process look_at_process(int pid);

}  // namespace lockstep
