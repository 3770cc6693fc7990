// SPDX-License-Identifier: Apache-2.0
// Who may write into a run directory. After a node is lost, ranks of a run's former life may still
// be at work beside the new one. RUN/life.json names the life that owns the directory; whoever
// finds another name there stops. A check reads that file: some microseconds on a local disk.
#pragma once

#include <cstdint>
#include <string>

namespace lockstep {

// What a launcher says of the start: how often the job was restarted, and which job it is.
struct Start {
  std::int64_t restart = 0;
  std::string job;  // empty: unknown
};
// The larger of SLURM_RESTART_COUNT and LOCKSTEP_RESTART; SLURM_JOB_ID.
Start start_from_environment();

class Fence {
 public:
  // The directory is ours from now on. ConfigError when a later start of the same job owns it.
  static Fence take(const std::string& run_dir, const Start& start);
  // As another rank has it.
  Fence(std::string run_dir, std::string owner)
      : path_(std::move(run_dir)), owner_(std::move(owner)) {}

  // ConfigError, with who it is, when another life has taken the directory since.
  void check() const;

  const std::string& owner() const { return owner_; }  // the text of life.json
  std::int64_t life() const;                           // how many lives there were before

 private:
  std::string path_, owner_;
};

}  // namespace lockstep
