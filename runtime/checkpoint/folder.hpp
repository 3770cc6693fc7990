// SPDX-License-Identifier: Apache-2.0
// The folder of a run's checkpoints. A checkpoint is a directory; it is complete or not there:
//
//   step-00000020/             complete: manifest.json and the shards
//   step-00000040.partial-3/   being written by life 3 of the run, or left by it
//
// Files and directories are flushed to the disk before the one rename that makes it complete.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/checkpoint/manifest.hpp"

namespace lockstep {

class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string place_of(std::int64_t step) const;
  std::string draft_of(std::int64_t step, std::int64_t life) const;

  // Steps of the complete checkpoints, the last one first. None if there is no such folder.
  std::vector<std::int64_t> steps() const;

  // Makes the folder, takes away what was not finished.
  void clean() const;
  std::string make_draft(std::int64_t step, std::int64_t life) const;
  // The draft becomes the checkpoint of its step, in place of one that is there.
  void commit(std::int64_t step, std::int64_t life) const;
  // Of those up to `step`, which was written last, all go but the last `keep` and those of every
  // `keep_every`-th step (0: none of them). Later ones were refused when the run was continued.
  void retain(std::int64_t step, std::int64_t keep, std::int64_t keep_every) const;

 private:
  std::string path_;
};

// Of `steps`, last one first, those that retention takes away. Pure.
std::vector<std::int64_t> outdated(const std::vector<std::int64_t>& steps, std::int64_t keep,
                                   std::int64_t keep_every);

// SystemError unless `bytes` are free where the folder is, with what is needed and what there is.
void expect_free(const std::string& path, std::uint64_t bytes);

// Reads and checks the manifest of a checkpoint, and that its shards are there with their sizes.
// ConfigError "PATH: what is wrong".
Manifest read_manifest(const std::string& checkpoint);

// What was written below `path`, and its name in its directory, are on the disk.
void flush_directory(const std::string& path);

}  // namespace lockstep
