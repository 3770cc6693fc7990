// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/results.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "launch/build_facts.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/config/keys.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 2;  // of a row; grows when an older reader would misread it

Json json_of(const StepParts& parts) {
  Json json;
  for (std::size_t i = 0; i < kNumParts; ++i)
    json[name_of(static_cast<StepPart>(i))] = parts.seconds[i];
  return json;
}

StepParts parts_from(const Json& json) {
  StepParts parts;
  for (std::size_t i = 0; i < kNumParts; ++i)
    parts.seconds[i] = json.at(name_of(static_cast<StepPart>(i))).get<double>();
  return parts;
}

// The numbers of both structs, once: name and member.
template <class Struct>
using Number = std::pair<const char*, double Struct::*>;
using Predicted = PredictedPoint;
using Measured = MeasuredRun;
constexpr Number<Predicted> kPredicted[] = {{"step_seconds", &Predicted::step_seconds},
                                            {"low", &Predicted::low},
                                            {"high", &Predicted::high},
                                            {"tokens_per_second", &Predicted::tokens_per_second},
                                            {"mfu", &Predicted::mfu},
                                            {"memory_bytes", &Predicted::memory_bytes}};
constexpr Number<Measured> kMeasured[] = {{"step_seconds", &Measured::step_seconds},
                                          {"low", &Measured::low},
                                          {"high", &Measured::high},
                                          {"tokens_per_second", &Measured::tokens_per_second},
                                          {"mfu", &Measured::mfu},
                                          {"memory_bytes", &Measured::memory_bytes},
                                          {"exposed_seconds", &Measured::exposed_seconds},
                                          {"waiting_seconds", &Measured::waiting_seconds},
                                          {"loss", &Measured::loss},
                                          {"validation_loss", &Measured::validation_loss},
                                          {"target_seconds", &Measured::target_seconds}};

Json json_of(const PredictedPoint& p) {
  Json json;
  for (const auto& [name, member] : kPredicted)
    json[name] = p.*member;
  json["in_range"] = p.in_range;
  json["breakdown"] = json_of(p.parts);
  return json;
}

PredictedPoint predicted_from(const Json& json) {
  PredictedPoint p;
  for (const auto& [name, member] : kPredicted)
    p.*member = json.at(name).get<double>();
  p.in_range = json.at("in_range").get<bool>();
  p.parts = parts_from(json.at("breakdown"));
  return p;
}

Json json_of(const MeasuredRun& m) {
  Json json{{"steps", m.steps}};
  for (const auto& [name, member] : kMeasured)
    json[name] = m.*member;
  json["validation_accuracy"] = m.validation_accuracy;
  json["breakdown"] = m.parts ? json_of(*m.parts) : Json(nullptr);
  return json;
}

MeasuredRun measured_from(const Json& json) {
  MeasuredRun m;
  m.steps = json.at("steps").get<int>();
  for (const auto& [name, member] : kMeasured)
    m.*member = json.at(name).get<double>();
  m.validation_accuracy = json.value("validation_accuracy", 0.0);  // older rows lack it
  if (!json.at("breakdown").is_null()) m.parts = parts_from(json.at("breakdown"));
  return m;
}

// Every key of the job by section, with its value.
Json config_of(JobConfig job) {
  Json json = Json::object();
  for (const Section& section : sections_of(job)) {
    for (const Key& key : section.keys)
      std::visit([&](const auto* value) { json[section.name][key.name] = *value; }, key.value);
  }
  return json;
}

// Keys that are not there, of an older version, keep their defaults.
JobConfig job_from(const Json& json) {
  JobConfig job;
  for (const Section& section : sections_of(job)) {
    for (const Key& key : section.keys) {
      const auto there = json.find(section.name);
      if (there == json.end() || !there->contains(key.name)) continue;
      std::visit([&](auto* value) { there->at(key.name).get_to(*value); }, key.value);
    }
  }
  return job;
}

void check_format(const Json& json, const std::string& place) {
  if (!json.is_object() || !json.contains("format")) {
    throw ConfigError(place + ": no row of results of a lockstep experiment");
  }
  if (json.at("format") == kFormat) return;
  throw ConfigError(place + ": written by lockstep " + json.value("version", std::string("?")) +
                    " in format " + json.at("format").dump() + "; this is lockstep " +
                    build_facts().version + " with format " + std::to_string(kFormat) +
                    ": run the experiment again in another directory (--dir)");
}

ResultRow row_from(const Json& json) {
  ResultRow row;
  const auto text = [&](const char* name) { return json.at(name).get<std::string>(); };
  row.version = text("version");
  row.point = text("point");
  row.series = text("series");
  row.fingerprint = text("fingerprint");
  for (const auto& [axis, label] : json.at("axes").items())
    row.values.emplace_back(axis, label.get<std::string>());
  row.repetition = json.at("repetition").get<int>();
  row.ranks = json.at("ranks").get<int>();
  row.nodes = json.at("nodes").get<int>();
  row.status = text("status");
  row.exit_status = json.at("exit_status").get<int>();
  row.launcher = text("launcher");
  row.host = text("host");
  row.started = text("started");
  row.wall_seconds = json.at("wall_seconds").get<double>();
  row.last_lines = json.at("last_lines").get<std::vector<std::string>>();
  if (!json.at("measured").is_null()) row.measured = measured_from(json.at("measured"));
  if (!json.at("predicted").is_null()) row.predicted = predicted_from(json.at("predicted"));
  row.job = job_from(json.at("config"));
  return row;
}

Json row_json(const ResultRow& row) {
  const BuildFacts build = build_facts();
  Json axes = Json::object();
  for (const auto& [axis, label] : row.values)
    axes[axis] = label;
  return {{"format", kFormat},
          {"version", row.version},
          {"point", row.point},
          {"series", row.series},
          {"repetition", row.repetition},
          {"status", row.status},
          {"exit_status", row.exit_status},
          {"axes", axes},
          {"ranks", row.ranks},
          {"nodes", row.nodes},
          {"launcher", row.launcher},
          {"host", row.host},
          {"started", row.started},
          {"wall_seconds", row.wall_seconds},
          {"measured", row.measured ? json_of(*row.measured) : Json(nullptr)},
          {"predicted", row.predicted ? json_of(*row.predicted) : Json(nullptr)},
          {"last_lines", row.last_lines},
          {"fingerprint", row.fingerprint},
          {"build", {{"compiler", build.compiler}, {"march", build.march}, {"gemm", build.gemm}}},
          {"config", config_of(row.job)}};
}

// A field of a CSV file (RFC 4180): quoted where it has to be.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text)
    quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

// What runs print need not be UTF-8.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

using Columns = std::vector<std::pair<std::string, std::string>>;

// Objects become columns of a dotted name; lists stay one field.
void flatten(Columns& columns, const std::string& name, const Json& json) {
  if (json.is_object()) {
    for (const auto& [key, value] : json.items())
      flatten(columns, name.empty() ? key : name + "." + key, value);
  } else {
    columns.emplace_back(name, json.is_string() ? json.get<std::string>()
                               : json.is_null() ? ""
                                                : text_of(json));
  }
}

// What has columns of its own where it is there.
bool is_absent(const std::string& name) {
  return name == "measured" || name == "predicted" || name == "measured.breakdown";
}

}  // namespace

std::string json_of(const ResultRow& row) {
  return text_of(row_json(row));
}

std::string csv_of(const std::vector<ResultRow>& rows) {
  std::vector<Columns> table;
  std::vector<std::string> names;
  for (const ResultRow& row : rows) {
    flatten(table.emplace_back(), "", row_json(row));
    for (const auto& [name, value] : table.back()) {
      const bool is_new = std::find(names.begin(), names.end(), name) == names.end();
      if (is_new && !is_absent(name)) names.push_back(name);
    }
  }
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "" : ",") + field(name);
  text += "\n";
  for (const Columns& columns : table) {
    std::string line;
    for (const std::string& name : names) {
      const auto found = std::find_if(columns.begin(), columns.end(),
                                      [&](const auto& column) { return column.first == name; });
      line += (&name == &names.front() ? "" : ",") +
              (found == columns.end() ? "" : field(found->second));
    }
    text += line + "\n";
  }
  return text;
}

std::vector<ResultRow> load_results(const std::string& path) {
  std::ifstream file(path);
  std::vector<ResultRow> rows;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (file.eof()) break;  // no newline: cut off
    const std::string place = path + ":" + std::to_string(number);
    try {
      const Json json = Json::parse(line);
      check_format(json, place);
      rows.push_back(row_from(json));
    } catch (const nlohmann::json::exception& error) {
      throw ConfigError(place + ": no row of results: " + error.what());
    }
  }
  return rows;
}

}  // namespace lockstep
