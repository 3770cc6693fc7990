// SPDX-License-Identifier: Apache-2.0
#include "launch/run_checkpoints.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "collectives/compression/table.hpp"
#include "launch/build_facts.hpp"
#include "parallelism/hybrid/held_state.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/format.hpp"
#include "runtime/checkpoint/memory_folder.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::json;

}  // namespace

RunCheckpoints::RunCheckpoints(const Context& context, const JobConfig& job, const Mesh& mesh,
                               TrainingStep& step, std::int64_t train_tokens)
    : context_(context), job_(job), mesh_(mesh), step_(step), train_tokens_(train_tokens) {
  meet_parameters();
}

void RunCheckpoints::open(const std::string& run_dir) {
  run_dir_ = context_.broadcast(run_dir);
  folder_ = CheckpointFolder(run_dir_ + "/checkpoints");
  if (job_.checkpoint.memory_every == 0) return;
  memory_.emplace(context_, MemoryOptions{.place = job_.checkpoint.memory_path,
                                          .run_dir = run_dir_,
                                          .timeout_seconds = job_.collectives.timeout_seconds});
}

// Rank 0 learns what the whole model is made of, and how large a checkpoint is.
void RunCheckpoints::meet_parameters() {
  const std::uint64_t bytes = bytes_of(written_state(step_, mesh_)) + bytes_of(own_state(step_));
  Json mine{{"bytes", bytes}, {"dims", Json::object()}};
  for (const HeldPiece& piece : held_state(step_))
    mine["dims"][piece.name] = piece.dims;
  for (const std::string& text : context_.gather(mine.dump())) {
    const Json theirs = Json::parse(text);
    bytes_ += theirs["bytes"].get<std::uint64_t>();
    for (const auto& [name, dims] : theirs["dims"].items())
      parameters_[name] = dims.get<Dims>();
  }
}

void RunCheckpoints::begin_life() {
  std::string owner;
  context_.together([&] {
    if (!context_.first()) return;
    owner = Fence::take(run_dir_, start_from_environment()).owner();
    if (wanted()) folder_.clean();
    if (!memory_) unlink_memory_name(run_dir_);  // of another timeline from now on
  });
  fence_.emplace(run_dir_, context_.broadcast(owner));
  if (!wanted()) return;
  writer_.emplace(folder_, *fence_,
                  WriterOptions{.rank = context_.rank(),
                                .ranks = context_.size(),
                                .keep = job_.checkpoint.keep,
                                .keep_every = job_.checkpoint.keep_every,
                                .timeout_seconds = job_.collectives.timeout_seconds,
                                .beside = run_dir_ + "/metrics.jsonl"});
}

void RunCheckpoints::begin_copies() {
  if (!memory_) return;
  memory_->begin(former_copies_,
                 bytes_of(written_state(step_, mesh_)) + bytes_of(own_state(step_)));
}

bool RunCheckpoints::due(std::int64_t step) const {
  return wanted() && step % job_.checkpoint.every == 0;
}

void RunCheckpoints::save(std::int64_t step, const Progress& progress) {
  if (!wanted() || saved_ == step) return;
  const double begin = now();
  const Manifest head = head_of(step, progress);
  context_.together([&] {
    writer_->wait();
    if (!context_.first()) return;
    fence_->check();
    expect_free(folder_.path(), bytes_);
    folder_.make_draft(step, head.life);
  });
  writer_->save(written_state(step_, mesh_), head, own_state(step_));
  saved_ = step;
  if (!job_.checkpoint.async) finish();
  ++num_saved_;
  held_seconds_ += now() - begin;
}

// Training does not depend on them: without room it goes on.
void RunCheckpoints::keep_copies(std::int64_t step, const Progress& progress) {
  if (!memory_ || step % job_.checkpoint.memory_every != 0) return;
  const double begin = now();
  std::string reason;
  if (memory_->save(written_state(step_, mesh_), own_state(step_), head_of(step, progress), *fence_,
                    reason)) {
    ++num_copies_;
  } else if (!std::exchange(no_room_, true) && context_.first()) {
    log_warning("no copies in memory: " + reason);
  }
  copy_seconds_ += now() - begin;
}

void RunCheckpoints::end_life() {
  if (memory_) memory_->remove();
}

std::map<std::string, std::int64_t> RunCheckpoints::layout() const {
  return {{"data", mesh_.data().size()},
          {"tensor", mesh_.tensor().size()},
          {"pipeline", mesh_.pipeline().size()},
          {"chunks", job_.parallel.chunks},
          {"zero", job_.parallel.zero}};
}

std::string RunCheckpoints::compression() const {
  const CollectivesSection& c = job_.collectives;
  return text_of(CompressionOptions{
      .method = c.compression, .rank = c.compression_rank, .share = c.compression_share});
}

Manifest RunCheckpoints::head_of(std::int64_t step, const Progress& progress) const {
  return {.program = "lockstep " + build_facts().version,
          .step = step,
          .life = fence_->life(),
          .optimizer_steps = step_.optimizer().steps(),
          .optimizer = job_.optimizer.kind,
          .seed = job_.job.seed,
          .next_sample = step * job_.batch.global,
          .train_tokens = train_tokens_,
          .sequence = job_.model.sequence,
          .layout = layout(),
          .compression = compression(),
          .progress = progress,
          .job = to_toml(job_),
          .parameters = parameters_,
          .shards = {}};
}

void RunCheckpoints::check() {
  if (writer_) writer_->check();
}

void RunCheckpoints::report() const {
  if (num_copies_ > 0) {
    log_info(format("%d copies in memory held steps up for %.1f ms each", num_copies_,
                    1e3 * copy_seconds_ / num_copies_));
  }
  if (num_saved_ == 0) return;
  log_info(format("%d checkpoint%s of %.1f MB held steps up for %.1f ms each", num_saved_,
                  num_saved_ == 1 ? "" : "s", 1e-6 * static_cast<double>(bytes_),
                  1e3 * held_seconds_ / num_saved_));
}

void RunCheckpoints::finish() {
  if (!writer_) return;
  context_.together([&] { writer_->wait(); });
}

}  // namespace lockstep
