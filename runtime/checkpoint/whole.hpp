// SPDX-License-Identifier: Apache-2.0
// Checkpoints that are one file, made by one process: converted, or imported. Costs memory for all
// that is written.
#pragma once

#include <string>
#include <vector>

#include "runtime/checkpoint/reader.hpp"

namespace lockstep {

// A directory that appears under its name once everything is in it. ConfigError if it is there.
class NewDirectory {
 public:
  explicit NewDirectory(const std::string& path);
  ~NewDirectory();
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;

  std::string operator/(const std::string& name) const { return draft_ + "/" + name; }
  const std::string& draft() const { return draft_; }
  void finish();

 private:
  std::string path_, draft_;
  bool done_ = false;
};

// Kinds of states that a checkpoint has, sorted.
std::vector<std::string> kinds_in(const Manifest& manifest);

// A state of a whole parameter, flat.
Tensor whole_tensor(CheckpointReader& reader, const std::string& kind, const std::string& name,
                    const Dims& dims, Device& device);

// `head` and these pieces as a checkpoint of one shard.
void write_whole(const std::string& to, Manifest head, const std::vector<HeldPiece>& pieces);

// The same checkpoint in one file.
void make_whole(const std::string& checkpoint, const std::string& to);

}  // namespace lockstep
