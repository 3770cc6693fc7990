// SPDX-License-Identifier: Apache-2.0
// What a run goes on from: copies in memory, else the newest checkpoint on the disk that is whole.
#include <exception>
#include <utility>

#include <nlohmann/json.hpp>

#include "launch/run_checkpoints.hpp"
#include "parallelism/hybrid/held_state.hpp"
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

std::vector<std::int64_t> RunCheckpoints::steps_on_disk() const {
  Json steps;
  context_.together([&] {
    if (context_.first()) steps = folder_.steps();
  });
  return Json::parse(context_.broadcast(steps.dump()));
}

std::int64_t RunCheckpoints::load_last() {
  const std::vector<std::int64_t> steps = steps_on_disk();
  const std::int64_t from_memory = load_from_memory(steps.empty() ? 0 : steps.front());
  return from_memory > 0 ? from_memory : load_from_disk(steps);
}

std::int64_t RunCheckpoints::go_back() {
  if (memory_) memory_->forget();  // they may be of steps that are refused now
  return load_from_disk(steps_on_disk());
}

// 0 where there are none, or older ones. What they lack is said: the disk has an older step.
std::int64_t RunCheckpoints::load_from_memory(std::int64_t newest_on_disk) {
  if (!memory_) return 0;
  std::string missing;
  const auto found = memory_->find(missing);
  if (!missing.empty() && context_.first()) {
    log_warning("copies in memory are not complete: " + missing);
  }
  if (!found || found->copies.step < newest_on_disk) return 0;
  context_.together([&] {
    if (context_.first()) expect_continues(parse_manifest(found->manifest));
  });
  std::vector<HeldPiece> pieces = held_state(step_);
  std::vector<HeldState> own = own_state(step_);
  const Manifest manifest = parse_manifest(found->manifest);
  std::vector<std::size_t> needed = CheckpointReader(run_dir_, manifest).shards_of(pieces);
  if (!owns_in(run_dir_, manifest, own)) own.clear();
  if (!own.empty()) needed.push_back(static_cast<std::size_t>(context_.rank()));
  const std::string checkpoint = memory_->bring(*found, needed);
  const std::string mistake =
      read_from(checkpoint, found->manifest, pieces, std::move(own), Headers::not_checked);
  if (!mistake.empty()) {
    if (context_.first()) log_warning("refused: " + mistake + "; the disk is next");
    return 0;
  }
  take_over(manifest);
  former_copies_ = MemoryCopies::Former::goes_on;
  log_info(format("continued from the copies in memory of step %lld",
                  static_cast<long long>(found->copies.step)));
  return found->copies.step;
}

std::int64_t RunCheckpoints::load_from_disk(const std::vector<std::int64_t>& steps) {
  std::string refusal;
  for (const std::int64_t step : steps) {
    const std::string checkpoint = folder_.place_of(step);
    if (try_load(checkpoint, refusal)) {
      log_info(format("continued from %s", checkpoint.c_str()));
      return saved_ = step;
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
    } catch (const PermissionError&) {
      throw;
    } catch (const ConfigError& error) {
      refusal = error.what();
      return;
    }
    expect_continues(manifest);
  });
  text = context_.broadcast(text);
  if (text.empty()) return false;
  const Manifest manifest = parse_manifest(text);
  std::vector<HeldPiece> pieces = held_state(step_);
  std::vector<HeldState> own = own_state(step_);
  if (!owns_in(checkpoint, manifest, own)) own.clear();
  refusal = read_from(checkpoint, text, pieces, std::move(own), Headers::checked);
  if (!refusal.empty()) return false;
  take_over(manifest);
  return true;
}

void RunCheckpoints::take_over(const Manifest& manifest) {
  step_.take_over(manifest.optimizer_steps);
  loaded_ = manifest.progress;
}

// Whether every rank finds what compression held back there: each has its own, so any other layout
// starts anew.
bool RunCheckpoints::owns_in(const std::string& checkpoint, const Manifest& manifest,
                             const std::vector<HeldState>& own) const {
  const auto rank = static_cast<std::size_t>(context_.rank());
  const bool mine = CheckpointReader(checkpoint, manifest).holds_own(rank, own);
  int missing = 0, some = 0;
  for (const std::string& theirs : context_.gather(Json{mine, !own.empty()}.dump())) {
    const Json said = Json::parse(theirs);
    missing += !said[0].get<bool>();
    some += said[1].get<bool>();
  }
  const bool same = manifest.layout == layout() && manifest.compression == compression() &&
                    manifest.shards.size() == static_cast<std::size_t>(context_.size());
  const bool all = context_.broadcast(same && missing == 0 ? "yes" : "") == "yes";
  if (!all && some > 0) {
    log_warning("what collectives.compression = \"" + job_.collectives.compression +
                "\" held back of gradients starts anew: the checkpoint has none of this layout");
  }
  return all;
}

// What went wrong on the lowest rank where something did; the same on every rank.
std::string RunCheckpoints::read_from(const std::string& checkpoint, const std::string& manifest,
                                      std::vector<HeldPiece>& pieces, std::vector<HeldState> own,
                                      Headers headers) const {
  std::string mistake;
  std::exception_ptr forbidden;
  try {
    const Manifest m = parse_manifest(manifest);
    CheckpointReader reader(checkpoint, m);
    reader.read(pieces);
    const auto rank = static_cast<std::size_t>(context_.rank());
    if (!own.empty()) reader.read_own(rank, own);
    const std::size_t shards = headers == Headers::checked ? m.shards.size() : 0;
    for (std::size_t s = rank; s < shards; s += static_cast<std::size_t>(context_.size()))
      reader.check_header(s);
  } catch (const PermissionError&) {
    forbidden = std::current_exception();  // not damaged: the user is to know, and to decide
  } catch (const std::runtime_error& error) {
    mistake = error.what();
  }
  context_.together([&] {
    if (forbidden) std::rethrow_exception(forbidden);
  });
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
  const std::string mistake =
      read_from(checkpoint, context_.broadcast(text), pieces, {}, Headers::checked);
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

void RunCheckpoints::expect_fits() const {
  context_.together([this] {
    if (!context_.first()) return;
    for (const std::int64_t step : folder_.steps()) {
      Manifest manifest;
      try {
        manifest = read_manifest(folder_.place_of(step));
      } catch (const VersionError&) {
        throw;
      } catch (const PermissionError&) {
        throw;
      } catch (const ConfigError&) {
        continue;  // damaged: said when it is to be loaded
      }
      return expect_continues(manifest);
    }
  });
}

}  // namespace lockstep
