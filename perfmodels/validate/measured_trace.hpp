// SPDX-License-Identifier: Apache-2.0
// The trace.json of a run, read back as operations with the time that each took.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "runtime/device/recording.hpp"

namespace lockstep {

struct MeasuredOperation {
  Operation operation{};
  int rank = 0;
  double begin = 0, seconds = 0;
};

struct MeasuredTrace {
  std::vector<MeasuredOperation> operations{};  // and phases
  int ranks = 0;
  int steps = 0;  // of rank 0: as often as it updated the parameters

  // What the operations point to.
  std::deque<std::string> texts{};
  std::deque<OperationGroup> groups{};
};

// `name` stands for the file in messages. ConfigError where it is no trace of a run.
MeasuredTrace parse_trace(const std::string& text, const std::string& name);
MeasuredTrace load_trace(const std::string& path);

}  // namespace lockstep
