// SPDX-License-Identifier: Apache-2.0
// A command run as a child in a process group of its own, its output in a file. It ends with us: by
// a signal when we are asked to stop, by the system when we are killed.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace lockstep {

struct ProcessEnd {
  int status = 0;         // the exit status, 128 + n for a signal
  bool too_late = false;  // ended by us at the deadline
  bool stopped = false;   // ended by us because a signal asked us to stop (signals.hpp)
  double seconds = 0;
};

// `watch` is called every quarter of a second. SystemError if it cannot be started.
ProcessEnd run_process(const std::vector<std::string>& words, const std::string& output,
                       double timeout_seconds, const std::function<void()>& watch = {});

// The last lines of a text file, of at most 200 characters each, without empty ones and rules.
std::vector<std::string> last_lines(const std::string& path, std::size_t count);

}  // namespace lockstep
