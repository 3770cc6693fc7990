// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/measure.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "perfmodels/calibrate/statistics.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

double number(const Json& json, const char* name) {
  const auto there = json.find(name);
  return there == json.end() || there->is_null() ? 0 : there->get<double>();
}

std::vector<double> each(const std::vector<LoggedStep>& steps, double LoggedStep::*member) {
  std::vector<double> values;
  for (const LoggedStep& s : steps)
    values.push_back(s.*member);
  return values;
}

StepParts scaled_to(double seconds, StepParts parts) {
  const double total = parts.total();
  for (double& s : parts.seconds)
    s *= total > 0 ? seconds / total : 0;
  return parts;
}

}  // namespace

RunLog load_run_log(const std::string& run_dir) {
  const std::string path = run_dir + "/metrics.jsonl";
  std::ifstream file(path);
  if (!file) throw ConfigError("no " + path + ": " + run_dir + " holds no run");
  RunLog log;
  std::string line;
  try {
    while (std::getline(file, line)) {
      const Json json = Json::parse(line);
      if (json.contains("validation_loss")) {
        log.evaluations.push_back({json.at("step").get<std::int64_t>(),
                                   number(json, "validation_loss"),
                                   number(json, "validation_accuracy")});
      } else if (json.contains("step_seconds")) {
        log.steps.push_back({json.at("step").get<std::int64_t>(), number(json, "loss"),
                             json.at("step_seconds").get<double>(),
                             number(json, "exposed_comm_seconds"), number(json, "waiting_seconds"),
                             number(json, "tokens_per_second"), number(json, "mfu"),
                             number(json, "predicted_seconds")});
      }
    }
  } catch (const Json::exception& error) {
    throw ConfigError(path + " is not the record of a run: " + error.what());
  }
  if (log.steps.empty()) throw ConfigError(path + " holds no step");
  return log;
}

RunFacts load_run_facts(const std::string& run_dir) {
  std::ifstream file(run_dir + "/summary.json");
  if (!file) return {};
  try {
    const Json json = Json::parse(file);
    return {.memory_bytes = number(json, "memory_bytes"),
            .target_seconds = number(json, "target_seconds"),
            .train_seconds = number(json, "train_seconds"),
            .ranks = json.value("ranks", 0),
            .nodes = json.value("nodes", 0),
            .threads = json.value("threads", 0),
            .finished = json.value("finished", false),
            .version = json.value("version", ""),
            .host = json.value("host", "")};
  } catch (const Json::exception& error) {
    throw ConfigError(run_dir + "/summary.json cannot be read: " + error.what());
  }
}

JobConfig as_run(JobConfig job, const RunFacts& facts) {
  if (job.job.threads == 0) job.job.threads = facts.threads;
  return job;
}

MeasuredRun measure_run(const std::string& run_dir, int skip) {
  const RunLog log = load_run_log(run_dir);
  std::vector<LoggedStep> steps = log.steps;
  const auto skipped = static_cast<std::ptrdiff_t>(skip);
  if (static_cast<std::ptrdiff_t>(steps.size()) > skipped)
    steps.erase(steps.begin(), steps.begin() + skipped);
  const RunFacts facts = load_run_facts(run_dir);
  const auto last = log.evaluations.empty() ? LoggedEvaluation{} : log.evaluations.back();
  const Figure step = median_figure(each(steps, &LoggedStep::step_seconds));
  MeasuredRun m{.steps = static_cast<int>(steps.size()),
                .step_seconds = step.value,
                .low = step.low,
                .high = step.high,
                .tokens_per_second = median_of(each(steps, &LoggedStep::tokens_per_second)),
                .mfu = median_of(each(steps, &LoggedStep::mfu)),
                .memory_bytes = facts.memory_bytes,
                .exposed_seconds = median_of(each(steps, &LoggedStep::exposed_seconds)),
                .waiting_seconds = median_of(each(steps, &LoggedStep::waiting_seconds)),
                .loss = log.steps.back().loss,
                .validation_loss = last.loss,
                .validation_accuracy = last.accuracy,
                .target_seconds = facts.target_seconds};
  const std::string trace = run_dir + "/trace.json";
  if (fs::exists(trace)) m.parts = scaled_to(step.value, parts_of(load_trace(trace)));
  return m;
}

}  // namespace lockstep
