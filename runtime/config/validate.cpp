// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "runtime/base/error.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

namespace {

std::string said(const char* key, std::int64_t value) {
  return std::string(key) + " = " + std::to_string(value);
}

void divides(const char* key, std::int64_t value, const char* part_key, std::int64_t part) {
  if (value % part == 0) return;
  throw ConfigError(said(key, value) + " is not a multiple of " + said(part_key, part));
}

void not_above(const char* key, std::int64_t value, const char* bound_key, std::int64_t bound) {
  if (value <= bound) return;
  throw ConfigError(said(key, value) + " is above " + said(bound_key, bound));
}

// Whether layers can be cut for parallel.tensor is known to the models.
void check_sequence(const ModelSection& model, const ParallelSection& parallel) {
  if (!parallel.sequence_parallel || model.sequence % parallel.tensor == 0) return;
  const std::int64_t below = model.sequence / parallel.tensor * parallel.tensor;
  throw ConfigError("parallel.sequence_parallel cuts " + said("model.sequence", model.sequence) +
                    ", which is not a multiple of " + said("parallel.tensor", parallel.tensor) +
                    "; use " + (below > 0 ? std::to_string(below) + " or " : "") +
                    std::to_string(below + parallel.tensor));
}

// Far above what is trained, and small enough that no product of sizes overflows 64 bits, and that
// what is made once for each of them ends by itself.
void check_sizes(const JobConfig& config) {
  const ModelSection& m = config.model;
  const struct {
    const char* key;
    std::int64_t value, most;
  } sizes[] = {{"job.steps", config.job.steps, std::int64_t{1} << 36},
               {"job.threads", config.job.threads, 1 << 10},
               {"job.evaluate_batches", config.job.evaluate_batches, 1 << 24},
               {"model.layers", m.layers, 1 << 14},
               {"model.hidden", m.hidden, 1 << 20},
               {"model.ffn", m.ffn, 1 << 22},
               {"model.sequence", m.sequence, 1 << 24},
               {"model.vocabulary", m.vocabulary, 1 << 30},
               {"model.context", m.context, 1 << 20},
               {"batch.global", config.batch.global, 1 << 24}};
  for (const auto& [key, value, most] : sizes) {
    if (value > most)
      throw ConfigError(said(key, value) + " is above " + std::to_string(most) +
                        ", the most that this version takes");
  }
  constexpr double kMostElements = 0x1p50;  // of activations as wide as the model
  if (double(config.batch.global) * double(m.sequence) * double(std::max(m.hidden, m.ffn)) <
      kMostElements)
    return;
  throw ConfigError(said("batch.global", config.batch.global) + " sequences of " +
                    said("model.sequence", m.sequence) +
                    " tokens are more than this version takes at such a width; use fewer or "
                    "shorter ones");
}

void check_stages(const ModelSection& model, const ParallelSection& parallel) {
  const std::int64_t parts = std::int64_t{parallel.pipeline} * parallel.chunks;
  if (parts <= model.layers) return;
  if (parallel.chunks > model.layers)
    not_above("parallel.chunks", parallel.chunks, "model.layers", model.layers);
  throw ConfigError(said("parallel.pipeline", parallel.pipeline) +
                    (parallel.chunks > 1 ? " x " + said("parallel.chunks", parallel.chunks) : "") +
                    " is above " + said("model.layers", model.layers) + "; use at most " +
                    std::to_string(model.layers / parallel.chunks) + " stages" +
                    (parallel.chunks > 1 ? " of so many chunks" : ""));
}

void check_llama(const ModelSection& model) {
  if (model.kv_heads > 0) divides("model.heads", model.heads, "model.kv_heads", model.kv_heads);
  if (model.hidden / model.heads % 2 == 0) return;
  throw ConfigError(said("model.hidden", model.hidden) + " / " + said("model.heads", model.heads) +
                    " is odd, but rotary positions turn pairs of channels; use an even quotient");
}

void check_model(const ModelSection& model, const ParallelSection& parallel) {
  check_stages(model, parallel);
  check_sequence(model, parallel);
  if (model.kind == "mlp") return;
  divides("model.hidden", model.hidden, "model.heads", model.heads);
  if (model.kind == "llama") check_llama(model);
}

void check_batch(const BatchSection& batch, const ParallelSection& parallel) {
  if (batch.micro > 0) divides("batch.global", batch.global, "batch.micro", batch.micro);
  if (parallel.data > 0) divides("batch.global", batch.global, "parallel.data", parallel.data);
  // Both together are checked by split_batch, once the data degree is known.
}

void check_zero(const ParallelSection& parallel, const CollectivesSection& collectives) {
  if (parallel.zero == 0 || collectives.compression == "none") return;
  throw ConfigError(said("parallel.zero", parallel.zero) + " does not compress gradients, but " +
                    "collectives.compression = \"" + collectives.compression +
                    "\": use \"none\", or parallel.zero = 0");
}

// What sums in another order than the tree over micro-batches, or not alone.
void check_determinism(const JobConfig& config) {
  if (config.job.determinism != "layout") return;
  const ParallelSection& parallel = config.parallel;
  const auto refuse = [](const std::string& what, const std::string& remedy) {
    throw ConfigError("job.determinism = \"layout\" holds for every degree of data and pipeline, " +
                      what + ": use " + remedy + ", or job.determinism = \"run\"");
  };
  if (parallel.tensor > 1) {
    refuse("but " + said("parallel.tensor", parallel.tensor) + " sums inside of layers",
           "parallel.tensor = 1");
  }
  if (parallel.zero > 0) {
    refuse("but " + said("parallel.zero", parallel.zero) + " cuts sums by the ranks",
           "parallel.zero = 0");
  }
  if (config.collectives.compression != "none") {
    refuse("but collectives.compression = \"" + config.collectives.compression +
               "\" rounds by the ranks",
           "\"none\"");
  }
  if (config.batch.micro == 0) {
    refuse("but batch.micro = 0 makes micro-batches of a rank's whole share",
           "a size, such as batch.micro = 1");
  }
  if (config.job.threads == 0) {
    refuse(
        "but sums inside of products depend on the threads, and job.threads = 0 shares the cores "
        "among the ranks",
        "a number for every layout, such as job.threads = 1");
  }
}

void check_failures(const FailuresSection& failures, const JobConfig& config) {
  if (failures.spike == "roll_back" && config.checkpoint.every == 0) {
    throw ConfigError("failures.spike = \"roll_back\" goes back to a checkpoint, but " +
                      std::string("checkpoint.every is 0: set it, or use \"skip\""));
  }
}

void check_checkpoint(const CheckpointSection& checkpoint) {
  if (checkpoint.memory_every == 0 || checkpoint.every > 0) return;
  throw ConfigError(said("checkpoint.memory_every", checkpoint.memory_every) +
                    " keeps copies in memory, which are lost with the nodes: set checkpoint.every "
                    "as well");
}

void check_target(const JobSection& job) {
  const char* key = job.target_loss > 0 ? "job.target_loss" : "job.target_accuracy";
  if (job.target_loss > 0 && job.target_accuracy > 0) {
    throw ConfigError("job.target_loss and job.target_accuracy are two targets: a run has one");
  }
  if (job.target_loss + job.target_accuracy > 0 && job.evaluate_every == 0) {
    throw ConfigError(std::string(key) +
                      " is judged by evaluations, but job.evaluate_every is 0 (only at the end)");
  }
}

void check_data(const DataSection& data, const JobSection& job) {
  const bool validates = data.validation_share > 0 || !data.validation_path.empty();
  if (data.kind == "bytes" && !data.validation_path.empty()) {
    throw ConfigError(
        "data.validation_path needs data.kind = \"tokens\"; bytes keep data.validation_share");
  }
  if (job.evaluate_every > 0 && !validates) {
    throw ConfigError(said("job.evaluate_every", job.evaluate_every) +
                      " has nothing to evaluate on: data.validation_share is 0");
  }
  check_target(job);
  if (job.sample_length > 0 && data.kind == "tokens") {
    throw ConfigError(
        "job.sample_length writes bytes as text; data.kind = \"tokens\" has no text: use 0");
  }
}

}  // namespace

void validate(const JobConfig& config) {
  if (config.job.name.empty())
    throw ConfigError("job.name is empty, but directories and jobs of a cluster are called so");
  check_sizes(config);
  check_model(config.model, config.parallel);
  check_batch(config.batch, config.parallel);
  check_zero(config.parallel, config.collectives);
  check_determinism(config);
  check_checkpoint(config.checkpoint);
  check_failures(config.failures, config);
  check_data(config.data, config.job);
  not_above("optimizer.warmup_steps", config.optimizer.warmup_steps, "job.steps", config.job.steps);
}

}  // namespace lockstep
