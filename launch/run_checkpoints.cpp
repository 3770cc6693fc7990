// SPDX-License-Identifier: Apache-2.0
#include "launch/run_checkpoints.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "launch/build_facts.hpp"
#include "parallelism/hybrid/held_state.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/mapped_file.hpp"
#include "runtime/checkpoint/reader.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::json;

void expect_equal(const char* key, std::int64_t job, std::int64_t stored) {
  if (job == stored) return;
  throw ConfigError(
      format("%s = %lld, but the checkpoint's run had %lld: it would go on with "
             "other data or other random numbers",
             key, static_cast<long long>(job), static_cast<long long>(stored)));
}

}  // namespace

RunCheckpoints::RunCheckpoints(const Context& context, const JobConfig& job, const Mesh& mesh,
                               TrainingStep& step, std::int64_t train_tokens)
    : context_(context), job_(job), mesh_(mesh), step_(step), train_tokens_(train_tokens) {
  meet_parameters();
}

void RunCheckpoints::open(const std::string& run_dir) {
  run_dir_ = context_.broadcast(run_dir);
  folder_ = CheckpointFolder(run_dir_ + "/checkpoints");
}

// Rank 0 learns what the whole model is made of, and how large a checkpoint is.
void RunCheckpoints::meet_parameters() {
  Json mine{{"bytes", bytes_of(written_state(step_, mesh_))}, {"dims", Json::object()}};
  for (const HeldPiece& piece : held_state(step_))
    mine["dims"][piece.name] = piece.dims;
  for (const std::string& text : context_.gather(mine.dump())) {
    const Json theirs = Json::parse(text);
    bytes_ += theirs["bytes"].get<std::uint64_t>();
    for (const auto& [name, dims] : theirs["dims"].items())
      parameters_[name] = dims.get<Dims>();
  }
}

std::int64_t RunCheckpoints::load_last() {
  Json steps;
  context_.together([&] {
    if (context_.first()) steps = folder_.steps();
  });
  steps = Json::parse(context_.broadcast(steps.dump()));
  const std::string& method = job_.collectives.compression;
  if (!steps.empty() && (method == "top_k" || method == "powersgd")) {
    log_warning("what collectives.compression = \"" + method + "\" held back of gradients is not " +
                "in checkpoints: the first steps differ a little from those of the run");
  }
  std::string refusal;
  for (const Json& step : steps) {
    const std::string checkpoint = folder_.place_of(step.get<std::int64_t>());
    if (try_load(checkpoint, refusal)) {
      log_info(format("continued from %s", checkpoint.c_str()));
      return saved_ = step.get<std::int64_t>();
    }
    if (context_.first()) log_warning("refused: " + refusal + "; the checkpoint before it is next");
  }
  context_.together([&] {
    if (steps.empty() || !context_.first()) return;
    throw ConfigError(folder_.path() +
                      " holds no checkpoint that is whole; the oldest: " + refusal);
  });
  return 0;
}

// False, with the reason, when it is damaged. What the user must know throws.
bool RunCheckpoints::try_load(const std::string& checkpoint, std::string& refusal) {
  std::string text;
  context_.together([&] {
    if (!context_.first()) return;
    Manifest manifest;
    try {
      manifest = read_manifest(checkpoint);
      text = read_text(checkpoint + "/" + kManifestFile);
    } catch (const VersionError&) {
      throw;
    } catch (const ConfigError& error) {
      refusal = error.what();
      return;
    }
    expect_continues(manifest);
  });
  text = context_.broadcast(text);
  if (text.empty()) return false;
  std::vector<HeldPiece> pieces = held_state(step_);
  refusal = read_from(checkpoint, text, pieces);
  if (!refusal.empty()) return false;
  step_.take_over(parse_manifest(text).optimizer_steps);
  return true;
}

// What went wrong on the lowest rank where something did; the same on every rank.
std::string RunCheckpoints::read_from(const std::string& checkpoint, const std::string& manifest,
                                      std::vector<HeldPiece>& pieces) const {
  std::string mistake;
  try {
    const Manifest m = parse_manifest(manifest);
    CheckpointReader reader(checkpoint, m);
    reader.read(pieces);
    const auto rank = static_cast<std::size_t>(context_.rank());
    for (std::size_t s = rank; s < m.shards.size(); s += static_cast<std::size_t>(context_.size()))
      reader.check_header(s);
  } catch (const std::runtime_error& error) {
    mistake = error.what();
  }
  std::string first;
  for (const std::string& theirs : context_.gather(mistake)) {
    if (first.empty()) first = theirs;
  }
  return context_.broadcast(first);
}

// Weights of another run may come from a run that was laid out, or trained, in any way.
void RunCheckpoints::load_weights() {
  const std::string& checkpoint = job_.checkpoint.load;
  if (checkpoint.empty()) return;
  std::string text;
  context_.together([&] {
    if (!context_.first()) return;
    expect_same_model(read_manifest(checkpoint), parameters_);
    text = read_text(checkpoint + "/" + kManifestFile);
  });
  std::vector<HeldPiece> pieces = held_state(step_);
  for (HeldPiece& piece : pieces)
    std::erase_if(piece.states, [](const HeldState& s) { return !is_weight(s.kind); });
  const std::string mistake = read_from(checkpoint, context_.broadcast(text), pieces);
  context_.together([&] {
    if (context_.first() && !mistake.empty()) throw ConfigError(mistake);
  });
  step_.take_over(0);
  log_info("weights of " + checkpoint);
}

void RunCheckpoints::expect_continues(const Manifest& m) const {
  expect_same_model(m, parameters_);
  if (m.optimizer != job_.optimizer.kind) {
    throw ConfigError("optimizer.kind = \"" + job_.optimizer.kind +
                      "\", but the checkpoint's run had \"" + m.optimizer + "\"");
  }
  expect_equal("job.seed", job_.job.seed, m.seed);
  expect_equal("batch.global", job_.batch.global, m.step > 0 ? m.next_sample / m.step : 0);
  expect_equal("model.sequence", job_.model.sequence, m.sequence);
  expect_equal("tokens of training data", train_tokens_, m.train_tokens);
}

void RunCheckpoints::begin_life() {
  std::string owner;
  context_.together([&] {
    if (!context_.first()) return;
    owner = Fence::take(run_dir_, start_from_environment()).owner();
    if (wanted()) folder_.clean();
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

bool RunCheckpoints::due(std::int64_t step) const {
  return wanted() && step % job_.checkpoint.every == 0;
}

void RunCheckpoints::save(std::int64_t step) {
  if (!wanted() || saved_ == step) return;
  const double begin = now();
  const Manifest head = head_of(step);
  context_.together([&] {
    writer_->wait();
    if (!context_.first()) return;
    fence_->check();
    expect_free(folder_.path(), bytes_);
    folder_.make_draft(step, head.life);
  });
  writer_->save(written_state(step_, mesh_), head);
  saved_ = step;
  if (!job_.checkpoint.async) finish();
  ++num_saved_;
  held_seconds_ += now() - begin;
}

Manifest RunCheckpoints::head_of(std::int64_t step) const {
  return {.program = "lockstep " + build_facts().version,
          .step = step,
          .life = fence_->life(),
          .optimizer_steps = step_.optimizer().steps(),
          .optimizer = job_.optimizer.kind,
          .seed = job_.job.seed,
          .next_sample = step * job_.batch.global,
          .train_tokens = train_tokens_,
          .sequence = job_.model.sequence,
          .layout = {{"data", mesh_.data().size()},
                     {"tensor", mesh_.tensor().size()},
                     {"pipeline", mesh_.pipeline().size()},
                     {"chunks", job_.parallel.chunks},
                     {"zero", job_.parallel.zero}},
          .job = to_toml(job_),
          .parameters = parameters_,
          .shards = {}};
}

void RunCheckpoints::check() {
  if (writer_) writer_->check();
}

void RunCheckpoints::report() const {
  if (num_saved_ == 0) return;
  log_info(format("%d checkpoints of %.1f MB held steps up for %.1f ms each", num_saved_,
                  1e-6 * static_cast<double>(bytes_), 1e3 * held_seconds_ / num_saved_));
}

void RunCheckpoints::finish() {
  if (!writer_) return;
  context_.together([&] { writer_->wait(); });
}

}  // namespace lockstep
