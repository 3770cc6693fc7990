// SPDX-License-Identifier: Apache-2.0
// Who may write into a run directory. After a node is lost, ranks of a run's former life may still
// be at work beside the new one. RUN/life.json names the life that owns the directory; whoever
// finds another name there stops. A check opens and reads that file: some microseconds on a local
// disk. What holds, on every file system whose renames and exclusive opens are atomic (local ones,
// NFS from version 3 on, Lustre):
//
//   two starts at once  no two lives have one number (life-N.claim, O_EXCL); the last one owns it
//   a checkpoint        appears before the next life has looked for it, or never: that life writes
//                       its name, then renames all drafts away, then looks; a commit is one rename
//                       of a draft, right behind a check
//   metrics             are a new file in each life: a former one writes into the old file
//
// No lock is held: a life that hangs, or whose node is gone, could keep it for ever.
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
