// SPDX-License-Identifier: Apache-2.0
// What a training run says of itself: what it is, how it went, and what its model writes.
#include <algorithm>

#include "launch/generate.hpp"
#include "launch/run_summary.hpp"
#include "launch/training_run.hpp"
#include "perfmodels/calibrate/compute_rate.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/process.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

std::string join(const std::vector<std::string>& paths) {
  std::string all;
  for (const std::string& path : paths)
    all += (all.empty() ? "" : ", ") + path;
  return all;
}

// Of all ranks, each once, in their order. Collective; on rank 0.
std::string host_names(const Context& context) {
  std::vector<std::string> seen;
  for (const std::string& host : context.gather(host_name())) {
    if (std::find(seen.begin(), seen.end(), host) == seen.end()) seen.push_back(host);
  }
  return join(seen);
}

// Of each column; a first step, which takes as long as many, would be most of a mean.
StepSeconds median(std::vector<StepSeconds> steps) {
  StepSeconds result;
  for (const auto column : {&StepSeconds::step, &StepSeconds::communication, &StepSeconds::blocked,
                            &StepSeconds::exposed, &StepSeconds::waiting}) {
    const auto middle = steps.begin() + std::ssize(steps) / 2;
    std::ranges::nth_element(steps, middle, {}, column);
    result.*column = *middle.*column;
  }
  return result;
}

}  // namespace

void TrainingRun::introduce(const std::string& binding) const {
  const auto count = [](int n, const char* noun) {
    return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
  };
  log_info(format("%s: %.2f M parameters, %lld training tokens from %s", job_.model.kind.c_str(),
                  static_cast<double>(predicted_->job_parameters) * 1e-6,
                  static_cast<long long>(corpus_.train.size()), join(job_.data.path).c_str()));
  log_info(format("%s on %s, %s each (rank 0 %s), GEMM %.0f GFLOP/s per rank",
                  count(context_.size(), "rank").c_str(), count(context_.nodes(), "node").c_str(),
                  count(threads_, "thread").c_str(), binding.c_str(), gemm_rate_ * 1e-9));
  if (!device_name_.empty()) {
    log_info(format("a GPU each, rank 0 %s, computing in %s", device_name_.c_str(),
                    name_of(device_->numerics().values)));
  }
  if (prediction_) {
    log_info(format("predicted by %s: %.1f ms a step%s", job_.job.machine.c_str(),
                    1e3 * prediction_->seconds,
                    prediction_->in_range ? "" : ", outside the calibrated range"));
  }
  if (!validation_ && job_.data.validation_share > 0 && context_.first()) {
    log_warning("no evaluation: data.validation_share holds less than one model.sequence");
  }
}

void TrainingRun::summarize(double train_seconds, bool finished) {
  gemm_rate_ =
      std::max(gemm_rate_, measure_gemm_rate(*device_));  // the start may have been disturbed
  std::size_t peak = 0;
  for (const std::string& bytes : context_.gather(std::to_string(device_->memory().peak)))
    peak = std::max(peak, static_cast<std::size_t>(std::stoull(bytes)));
  const std::string hosts = host_names(context_);
  if (!context_.first()) return;
  const RunSummary summary{.evaluation = evaluation_,
                           .unit = job_.data.kind == "bytes" ? "byte" : "token",
                           .seconds = median(seconds_),
                           .predicted_seconds = prediction_ ? prediction_->seconds : 0,
                           .tokens = static_cast<double>(job_.batch.global * job_.model.sequence),
                           .ranks = context_.size(),
                           .model_flops = model_flops_,
                           .gemm_rate = gemm_rate_,
                           .peak_bytes = peak,
                           .run_dir = run_dir_,
                           .nodes = context_.nodes(),
                           .threads = threads_,
                           .hosts = hosts,
                           .finished = finished,
                           .train_seconds = train_seconds,
                           .target_seconds = target_seconds_};
  print_row(summary_text(summary));
  write_summary(summary);
}

void TrainingRun::write_sample() {
  std::vector<std::int32_t> prompt;
  for (const unsigned char byte : job_.job.sample_prompt)
    prompt.push_back(byte);
  if (prompt.empty()) prompt = {'\n'};
  const auto next = [this](const std::vector<std::int32_t>& seen) {
    return step_->next_logits(seen, stop_requested());
  };
  const auto tokens = generate(next, prompt,
                               {.length = job_.job.sample_length,
                                .sequence = job_.model.sequence,
                                .temperature = job_.job.sample_temperature,
                                .seed = static_cast<std::uint64_t>(job_.job.seed)});
  if (!context_.first()) return;
  print_row("\nthe model writes:\n");
  print_row(printable(tokens));
}

}  // namespace lockstep
