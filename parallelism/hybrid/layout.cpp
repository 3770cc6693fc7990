// SPDX-License-Identifier: Apache-2.0
#include "parallelism/hybrid/layout.hpp"

#include "parallelism/pipeline/messages.hpp"
#include "parallelism/pipeline/table.hpp"

namespace lockstep {

namespace {

std::string said(const char* key, std::int64_t value) {
  return std::string(key) + " = " + std::to_string(value);
}

// "1, 2, 4": what divides all of these.
std::string common_divisors(std::initializer_list<std::int64_t> values) {
  std::string text;
  for (std::int64_t d = 1; d <= *values.begin() && d <= 64; ++d) {
    bool divides = true;
    for (const std::int64_t v : values)
      divides = divides && v % d == 0;
    if (divides) text += (text.empty() ? "" : ", ") + std::to_string(d);
  }
  return text;
}

void check_tensor(const JobConfig& job, int tensor) {
  const ModelSection& m = job.model;
  if (tensor == 1) return;
  if (m.kind == "mlp")
    throw ConfigError(said("parallel.tensor", tensor) +
                      ": model.kind = \"mlp\" cannot be cut; use parallel.tensor = 1");
  const std::int64_t kv_heads = m.kv_heads > 0 ? m.kv_heads : m.heads;
  const std::int64_t ffn = m.ffn > 0 ? m.ffn : tensor;  // a default is made to fit
  if (m.heads % tensor != 0 || kv_heads % tensor != 0 || ffn % tensor != 0) {
    throw ConfigError(said("parallel.tensor", tensor) + " does not divide " +
                      said("model.heads", m.heads) + ", " + said("model.kv_heads", kv_heads) +
                      (m.ffn > 0 ? " and " + said("model.ffn", m.ffn) : "") +
                      "; these do: " + common_divisors({kv_heads, m.heads, m.ffn > 0 ? m.ffn : m.heads}));
  }
  if (job.parallel.sequence_parallel && m.sequence % tensor != 0) {
    throw ConfigError("parallel.sequence_parallel cuts " + said("model.sequence", m.sequence) +
                      ", which is not a multiple of " + said("parallel.tensor", tensor) +
                      "; use " + std::to_string(m.sequence / tensor * tensor) + " or " +
                      std::to_string((m.sequence / tensor + 1) * tensor));
  }
}

}  // namespace

TensorGroup tensor_group_of(const Communicator& ranks, const JobConfig& job) {
  return {ranks, job.parallel.sequence_parallel ? TensorGroup::Rows::shared : TensorGroup::Rows::all};
}

Recompute recompute_of(const JobConfig& job) {
  if (job.parallel.recompute == "full") return Recompute::full;
  return job.parallel.recompute == "selective" ? Recompute::selective : Recompute::none;
}

MicroBatch micro_batch_of(std::int64_t first_sample, std::int64_t samples, std::int64_t tokens,
                          const TensorGroup& tensor) {
  const Range rows = tensor.rows_of(samples * tokens);
  return {.first_sample = first_sample,
          .samples = samples,
          .tokens = tokens,
          .first_row = rows.begin,
          .rows = rows.count()};
}

PipelineSchedule schedule_of(const JobConfig& job, int stages, std::int64_t micro_batches) {
  const PipelineShape shape{.stages = stages,
                            .micro_batches = static_cast<int>(micro_batches),
                            .chunks = job.parallel.chunks};
  return with_messages(make_schedule(job.parallel.schedule, shape));
}

void check_layout(const JobConfig& job, const MeshDegrees& degrees, std::size_t num_layers) {
  check_tensor(job, degrees.tensor);
  const std::int64_t parts = std::int64_t{degrees.pipeline} * job.parallel.chunks;
  if (parts > static_cast<std::int64_t>(num_layers)) {
    throw ConfigError(said("parallel.pipeline", degrees.pipeline) + " x " +
                      said("parallel.chunks", job.parallel.chunks) + " = " + std::to_string(parts) +
                      " parts, but " + said("model.layers", job.model.layers) + " make " +
                      std::to_string(num_layers) + " layers with both ends; use at most " +
                      std::to_string(num_layers) + " parts");
  }
}

}  // namespace lockstep
