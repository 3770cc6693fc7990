// SPDX-License-Identifier: Apache-2.0
// Writes checkpoints behind training. Between two steps a rank copies what it holds (a memory copy
// of its state); a thread writes the copy. Rank 0's thread waits for the shards of all ranks, adds
// the manifest and makes the checkpoint appear. No MPI here: ranks meet in the file system.
//
// There is one copy: a checkpoint that comes before the last one is on the disk waits for it.
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "runtime/checkpoint/fence.hpp"
#include "runtime/checkpoint/folder.hpp"
#include "runtime/checkpoint/snapshot.hpp"

namespace lockstep {

struct WriterOptions {
  int rank = 0, ranks = 1;
  std::int64_t keep = 2, keep_every = 0;
  double timeout_seconds = 600;  // of rank 0, for the shard of any other rank
  std::string beside{};          // a file that must not be behind the checkpoint after a power cut
};

class CheckpointWriter {
 public:
  CheckpointWriter(CheckpointFolder folder, Fence fence, const WriterOptions& options);
  ~CheckpointWriter();  // finishes what it can without waiting for other ranks

  // `head`: the manifest without shards, of which only rank 0's counts. The draft of its step is
  // there already. Throws what went wrong with the last one.
  void save(const std::vector<HeldPiece>& pieces, Manifest head,
            const std::vector<HeldState>& own = {});
  // Until the last one is written: this rank's shard, and on rank 0 all of it.
  void wait();
  // Throws what has gone wrong by now, does not wait.
  void check();

 private:
  void work();
  void write_own(const Manifest& head);
  void complete(Manifest head);
  Shard shard_of(const std::string& draft, int rank);

  const CheckpointFolder folder_;
  const Fence fence_;
  const WriterOptions options_;
  Snapshot snapshot_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Manifest> head_;  // of what is being written
  std::exception_ptr error_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace lockstep
