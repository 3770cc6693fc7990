// SPDX-License-Identifier: Apache-2.0
// Checkpoints as the directories that transformers reads and writes (config.json and
// model.safetensors, or several of these), both ways; weights only.
#pragma once

#include <string>

namespace lockstep {

// Whether the directory is one of theirs.
bool is_hugging_face(const std::string& directory);

// Each makes the directory `to`, which must not be there, and returns the number of tensors.
std::size_t export_hugging_face(const std::string& checkpoint, const std::string& to);
// `program` is said to have written it. A run can start from it with checkpoint.load.
std::size_t import_hugging_face(const std::string& from, const std::string& to,
                                const std::string& program);

}  // namespace lockstep
