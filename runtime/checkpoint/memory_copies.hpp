// SPDX-License-Identifier: Apache-2.0
// Checkpoints in the memory of the nodes, for a fast start after a failure: in a directory in
// memory, which outlives the ranks. Each node's holds the shards of its ranks, and of the ranks of
// the node before it: one lost node loses nothing. The files are those of a checkpoint on the disk.
//
//   /dev/shm/NAME@HOST/run                 whose it is
//   /dev/shm/NAME@HOST/step-00000012/      manifest.json, and the shards that this node keeps
//   RUN/memory.json                        NAME: what it does not name is left over
//
//   memory   of a node, for s bytes of its ranks' shards: 2s, with several nodes 4s (copies stay
//            until the next ones are complete everywhere), and one shard in each rank
//   time     between two steps: a memory copy, checksums, and the shard's way to the next node
//
// DLRover's Flash Checkpoint keeps the first copy in shared memory alike. All is collective.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/checkpoint/copies.hpp"
#include "runtime/checkpoint/fence.hpp"
#include "runtime/checkpoint/folder.hpp"
#include "runtime/checkpoint/snapshot.hpp"
#include "runtime/context/post.hpp"

namespace lockstep {

struct MemoryOptions {
  std::string place = "/dev/shm";
  std::string run_dir;
  double timeout_seconds = 600;
};

class MemoryCopies {
 public:
  MemoryCopies(const Context& context, const MemoryOptions& options);

  struct Found {
    CompleteCopies copies;
    std::string manifest;
  };
  // The newest step that all shards are there of, each whole; or what is missing.
  std::optional<Found> find(std::string& missing);
  // The shards that this rank needs come to its node; returns the checkpoint to read them from.
  std::string bring(const Found& found, const std::vector<std::size_t>& needed);

  enum class Former : std::uint8_t { goes_on, is_over };
  // A life begins, with the copies of the one before or without; `shard_bytes` of this rank.
  void begin(Former former, std::uint64_t shard_bytes);
  // False, and the reason, when there is no room: training does not depend on copies.
  bool save(const std::vector<HeldPiece>& pieces, const std::vector<HeldState>& own, Manifest head,
            const Fence& fence, std::string& reason);
  void forget();  // the copies, not the place for them
  void remove();  // at the end of the run

 private:
  bool leads() const { return context_.local_rank() == 0; }
  std::vector<Offer> offers_here() const;
  void make_folder() const;
  std::string agree(const std::string& mistake) const;
  std::string prepare(const Manifest& head) const;
  std::string keep(const std::string& draft, Shard& shard);
  std::string keep_wards(const std::string& draft);

  const Context& context_;
  const MemoryOptions options_;
  Post post_;
  std::vector<int> nodes_;  // by rank
  int keeper_ = -1;
  std::vector<int> wards_;  // whose second copies this rank keeps
  std::string name_;        // empty: the run has none
  CheckpointFolder folder_{""};
  std::uint64_t node_bytes_ = 0;  // of one step on this node
  std::shared_ptr<Snapshot> snapshot_ = std::make_shared<Snapshot>();
};

}  // namespace lockstep
