// SPDX-License-Identifier: Apache-2.0
#include "runtime/metrics/metrics.hpp"

#include <fstream>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;  // keys in the order in which they are written here

Json or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

void cut_metrics(const std::string& path, std::int64_t step) {
  std::string kept;
  {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer())
        continue;
      if (json["step"].get<std::int64_t>() <= step) kept += line + "\n";
    }
  }
  write_file(path, kept);
}

MetricsWriter::MetricsWriter(std::string path, Existing existing)
    : path_(std::move(path)),
      file_(open_file(
          path_, O_WRONLY | O_CREAT | O_APPEND | (existing == Existing::replace ? O_TRUNC : 0))) {}

void MetricsWriter::write(const StepMetrics& m) {
  Json line{{"step", m.step},
            {"loss", m.loss},
            {"grad_norm", m.grad_norm},
            {"learning_rate", m.learning_rate},
            {"tokens_per_second", m.tokens_per_second},
            {"mfu", or_null(m.mfu)},
            {"step_seconds", m.step_seconds},
            {"predicted_seconds", or_null(m.predicted_seconds)},
            {"exposed_comm_seconds", m.exposed_comm_seconds},
            {"waiting_seconds", or_null(m.waiting_seconds)}};
  if (m.skipped) line["skipped"] = true;
  write_line(line.dump());
}

void MetricsWriter::write_evaluation(std::int64_t step, double validation_loss,
                                     double validation_accuracy) {
  write_line(Json{{"step", step},
                  {"validation_loss", validation_loss},
                  {"validation_accuracy", validation_accuracy}}
                 .dump());
}

void MetricsWriter::write_line(const std::string& object) {
  const off_t whole = lseek(file_.get(), 0, SEEK_END);  // -1 for a pipe, which cannot be cut
  try {
    write_all(file_, object + "\n", path_);
  } catch (const SystemError&) {
    if (whole < 0 || ftruncate(file_.get(), whole) != 0) throw;  // the first error says more
    throw;
  }
}

}  // namespace lockstep
