// SPDX-License-Identifier: Apache-2.0
// What `lockstep checkpoint` says of checkpoints. None of it needs ranks.
#pragma once

#include <string>
#include <vector>

#include "runtime/checkpoint/manifest.hpp"

namespace lockstep {

// The checkpoint that a path means: itself, or the last one of a run or of a folder of checkpoints.
// ConfigError if there is none.
std::string find_checkpoint(const std::string& path);
// All of them, the last one first.
std::vector<std::string> find_checkpoints(const std::string& path);

enum class Detail : std::uint8_t { summary, tensors };
std::string inspect_text(const std::string& checkpoint, const Manifest& manifest, Detail detail);
std::string inspect_json(const std::string& checkpoint, const Manifest& manifest);

// Reads every byte. ConfigError unless all are what was written and every element of every state
// is there once; else a line that says what was checked.
std::string verify(const std::string& checkpoint);

// Where two checkpoints differ, state by state; whatever their layouts.
struct CheckpointDifference {
  std::string text;
  bool same = true;
};
CheckpointDifference diff(const std::string& a, const std::string& b);

}  // namespace lockstep
