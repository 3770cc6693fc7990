// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/validate/measured_trace.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::json;

class Reader {
 public:
  explicit Reader(MeasuredTrace& trace) : trace_(trace) {}

  void add(const Json& event) {
    if (event.at("ph") != "X") return;
    MeasuredOperation m;
    m.rank = event.at("pid").get<int>();
    m.begin = event.at("ts").get<double>() * 1e-6;
    m.seconds = event.at("dur").get<double>() * 1e-6;
    Operation& o = m.operation;
    o.name = keep(event.at("name").get<std::string>());
    o.kind = kind_of(event.at("cat").get<std::string>());
    if (o.kind != OperationKind::phase) read_args(event.at("args"), o);
    trace_.ranks = std::max(trace_.ranks, m.rank + 1);
    if (m.rank == 0 && o.name == std::string("update")) ++trace_.steps;
    trace_.operations.push_back(m);
  }

 private:
  const char* keep(const std::string& text) {
    const auto known = std::find(trace_.texts.begin(), trace_.texts.end(), text);
    return (known != trace_.texts.end() ? *known : trace_.texts.emplace_back(text)).c_str();
  }

  static OperationKind kind_of(const std::string& category) {
    constexpr const char* kNames[] = {"gemm", "attention", "streaming", "collective", "phase"};
    for (int i = 0; i < 5; ++i) {
      if (category == kNames[i]) return static_cast<OperationKind>(i);
    }
    throw ConfigError("category '" + category + "'");
  }

  void read_args(const Json& args, Operation& o) {
    const Json& shape = args.at("shape");
    const std::vector<const char*> sizes =
        o.kind == OperationKind::gemm        ? std::vector<const char*>{"m", "n", "k"}
        : o.kind == OperationKind::attention ? std::vector<const char*>{"B", "T", "H", "D"}
                                             : std::vector<const char*>{"count"};
    for (std::size_t i = 0; i < sizes.size(); ++i)
      o.shape[i] = shape.at(sizes[i]).get<std::int64_t>();
    o.flops = args.at("flops").get<double>();
    o.bytes_read = args.at("bytes").get<double>();
    o.detail = keep(args.value("by", ""));
    o.dtype = dtype_named(args.value("dtype", "float32"));
    if (o.kind != OperationKind::collective) return;
    o.ranks = args.at("ranks").get<int>();
    o.memory = keep(args.value("memory", "plain"));
    trace_.groups.push_back(
        {.name = args.value("group", "world"), .ranks = o.ranks, .nodes = args.value("nodes", 1)});
    o.group = &trace_.groups.back();
  }

  static DType dtype_named(const std::string& name) {
    for (int i = 0; i <= static_cast<int>(DType::uint8); ++i) {
      if (name == name_of(static_cast<DType>(i))) return static_cast<DType>(i);
    }
    throw ConfigError("type '" + name + "'");
  }

  MeasuredTrace& trace_;
};

}  // namespace

MeasuredTrace parse_trace(const std::string& text, const std::string& name) {
  MeasuredTrace trace;
  Reader reader(trace);
  try {
    const Json all = Json::parse(text);
    for (const Json& event : all.at("traceEvents"))
      reader.add(event);
  } catch (const std::exception& error) {
    throw ConfigError(name + " is no trace of a lockstep run: " + error.what());
  }
  if (trace.steps == 0) {
    throw ConfigError(name +
                      " holds no step; `lockstep train JOB.toml --set job.trace_steps=4`"
                      " writes one that does");
  }
  return trace;
}

MeasuredTrace load_trace(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) {
    throw ConfigError("no trace can be read from " + path +
                      "; `lockstep train JOB.toml --set job.trace_steps=4` writes trace.json");
  }
  return parse_trace(text.str(), path);
}

}  // namespace lockstep
