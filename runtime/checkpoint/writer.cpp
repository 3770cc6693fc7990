// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/writer.hpp"

#include <chrono>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "runtime/base/clock.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/mapped_file.hpp"
#include "runtime/checkpoint/shard_file.hpp"

namespace lockstep {

namespace {

constexpr std::chrono::milliseconds kLook(2);  // between two looks for another rank's shard

// What a rank tells rank 0 of its shard.
std::string note_name(const std::string& draft, int rank) {
  return draft + format("/shard-%05d.json", rank);
}

void flush_file(const std::string& path) {
  if (path.empty()) return;
  const FileHandle file = open_file(path, O_RDONLY);
  if (fsync(file.get()) != 0) throw_errno("cannot flush " + path);
}

}  // namespace

CheckpointWriter::CheckpointWriter(CheckpointFolder folder, Fence fence,
                                   const WriterOptions& options)
    : folder_(std::move(folder)),
      fence_(std::move(fence)),
      options_(options),
      thread_([this] { work(); }) {}

CheckpointWriter::~CheckpointWriter() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CheckpointWriter::save(const std::vector<HeldPiece>& pieces, Manifest head,
                            const std::vector<HeldState>& own) {
  wait();
  snapshot_.take(pieces, own);
  {
    std::lock_guard lock(mutex_);
    head_ = std::move(head);
  }
  changed_.notify_all();
}

void CheckpointWriter::wait() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !head_; });
  }
  check();
}

void CheckpointWriter::check() {
  std::lock_guard lock(mutex_);
  if (error_) std::rethrow_exception(error_);
}

void CheckpointWriter::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return head_ || stopping_; });
    if (!head_) return;
    const Manifest head = *head_;
    lock.unlock();
    std::exception_ptr error;
    try {
      write_own(head);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    error_ = error;
    head_.reset();
    changed_.notify_all();
  }
}

void CheckpointWriter::write_own(const Manifest& head) {
  const std::string draft = folder_.draft_of(head.step, head.life);
  try {
    Shard shard =
        write_shard(draft, shard_name(options_.rank), snapshot_.header(), snapshot_.bytes());
    shard.pieces = snapshot_.pieces();
    shard.own = snapshot_.own();
    write_file(note_name(draft, options_.rank), to_text(shard));
    if (options_.rank == 0) complete(head);
  } catch (const SystemError&) {
    fence_.check();  // a new life has taken the draft away: that says more
    throw;
  }
}

void CheckpointWriter::complete(Manifest head) {
  const std::string draft = folder_.draft_of(head.step, head.life);
  for (int rank = 0; rank < options_.ranks; ++rank)
    head.shards.push_back(shard_of(draft, rank));
  for (int rank = 0; rank < options_.ranks; ++rank)
    std::filesystem::remove(note_name(draft, rank));
  write_file(draft + "/" + kManifestFile, to_text(head));
  flush_file(options_.beside);
  fence_.check();
  folder_.commit(head.step, head.life);
  fence_.check();  // a new life may be reading what would go
  folder_.retain(head.step, options_.keep, options_.keep_every);
}

// Waits for the rank, but not for one that will not come: the program is ending.
Shard CheckpointWriter::shard_of(const std::string& draft, int rank) {
  const std::string note = note_name(draft, rank);
  const double deadline = now() + options_.timeout_seconds;
  std::unique_lock lock(mutex_);
  while (!std::filesystem::exists(note)) {
    if (stopping_ || now() > deadline) {
      throw SystemError(draft + ": rank " + std::to_string(rank) + " has not written its shard" +
                        (stopping_ ? "" : format(" after %.0f s", options_.timeout_seconds)));
    }
    changed_.wait_for(lock, kLook);
  }
  lock.unlock();
  return parse_shard(read_text(note));
}

}  // namespace lockstep
