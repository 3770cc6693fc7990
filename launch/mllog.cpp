// SPDX-License-Identifier: Apache-2.0
#include "launch/mllog.hpp"

#include <chrono>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

double milliseconds_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

void say(const char* type, const char* key, const Json& value, const Json& metadata, Site at) {
  std::fputs(mllog_line(type, key, value.dump(), metadata.dump(), milliseconds_now(), at).c_str(),
             stdout);
  std::fflush(stdout);
}

void begin(const char* key, const Json& metadata, Site at) {
  say("INTERVAL_START", key, nullptr, metadata, at);
}
void end(const char* key, const Json& metadata, Site at) {
  say("INTERVAL_END", key, nullptr, metadata, at);
}
void event(const char* key, const Json& value, Site at, const Json& metadata = Json::object()) {
  say("POINT_IN_TIME", key, value, metadata, at);
}

void say_optimizer(const OptimizerSection& o, Site at) {
  event("opt_name", o.kind, at);
  event("opt_base_learning_rate", o.learning_rate, at);
  event("opt_end_learning_rate", o.learning_rate * o.minimum_share, at);
  event("opt_learning_rate_warmup_steps", o.warmup_steps, at);
  event("opt_learning_rate_decay_schedule", o.schedule, at);
  event("opt_gradient_clip_norm", o.clip, at);
  if (o.kind != "adamw") {
    event("opt_weight_decay", o.weight_decay, at);
    event("opt_momentum", o.momentum, at);
    return;
  }
  event("opt_adamw_beta_1", o.betas[0], at);
  event("opt_adamw_beta_2", o.betas[1], at);
  event("opt_adamw_epsilon", o.epsilon, at);
  event("opt_adamw_weight_decay", o.weight_decay, at);
}

}  // namespace

std::string mllog_line(const std::string& event_type, const std::string& key,
                       const std::string& value, const std::string& metadata, double time_ms,
                       Site at) {
  Json about = Json::parse(metadata);
  about["file"] = at.file;
  about["lineno"] = at.line;
  const Json line = {{"namespace", ""},
                     {"time_ms", static_cast<std::int64_t>(time_ms)},
                     {"event_type", event_type},
                     {"key", key},
                     {"value", Json::parse(value)},
                     {"metadata", about}};
  return ":::MLLOG " + line.dump() + "\n";
}

MlLog::MlLog(bool on, Site at) : on_(on) {
  if (on_) begin("init_start", Json::object(), at);
}

void MlLog::begin_training(const JobConfig& job, int data_degree, Site at) {
  if (!on_) return;
  global_batch_ = job.batch.global;
  const std::int64_t share = job.batch.global / data_degree;
  event("submission_benchmark", job.model.kind, at);
  event("seed", job.job.seed, at);
  event("global_batch_size", global_batch_, at);
  event("gradient_accumulation_steps", job.batch.micro > 0 ? share / job.batch.micro : 1, at);
  event("max_sequence_length", job.model.sequence, at);
  event("max_steps", job.job.steps, at);
  event("train_samples", job.job.steps * global_batch_, at);
  event("eval_samples", job.job.evaluate_batches * global_batch_, at);
  event("init_checkpoint_step", 0, at);
  say_optimizer(job.optimizer, at);
  end("init_stop", Json::object(), at);
  begin("run_start", Json::object(), at);
  begin_block(0, at);
}

void MlLog::begin_block(std::int64_t samples, Site at) {
  block_begin_ = samples;
  in_block_ = true;
  begin("block_start", {{"samples_count", samples}}, at);
}

void MlLog::begin_evaluation(std::int64_t step, Site at) {
  if (!on_) return;
  samples_ = step * global_batch_;
  end("block_stop", {{"samples_count", samples_ - block_begin_}}, at);
  in_block_ = false;
  begin("eval_start", {{"samples_count", samples_}}, at);
}

void MlLog::end_evaluation(std::int64_t step, double accuracy, bool goes_on, Site at) {
  if (!on_) return;
  samples_ = step * global_batch_;
  event("eval_accuracy", accuracy, at, {{"samples_count", samples_}});
  end("eval_stop", {{"samples_count", samples_}}, at);
  if (goes_on) begin_block(samples_, at);
}

void MlLog::end_training(bool success, Site at) {
  if (!on_) return;
  if (in_block_) end("block_stop", {{"samples_count", samples_ - block_begin_}}, at);
  end("run_stop", {{"samples_count", samples_}, {"status", success ? "success" : "aborted"}}, at);
}

}  // namespace lockstep
