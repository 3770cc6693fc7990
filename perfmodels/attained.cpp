// SPDX-License-Identifier: Apache-2.0
// What kernels attained in a run, from its trace.json.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "perfmodels/roofline.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::json;

struct Seen {
  std::int64_t launches = 0;
  double flops = 0, seconds = 0;
};

struct Trace {
  std::map<std::string, Seen> kernels;  // of rank 0, which the roofline is of, in all steps
  std::int64_t steps = 0;
  std::set<int> ranks;
};

std::string file_of(const std::string& run) {
  std::error_code failed;
  return std::filesystem::is_directory(run, failed) ? run + "/trace.json" : run;
}

Json parsed(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw ConfigError("no trace can be read from " + path +
                      "; a run writes one with --set job.trace_steps=3");
  }
  Json json = Json::parse(file, nullptr, false);
  if (!json.is_object() || !json.contains("traceEvents")) {
    throw ConfigError(path + " is not a trace of lockstep train");
  }
  return json;
}

Trace trace_of(const std::string& path) {
  Trace trace;
  const Json json = parsed(path);
  for (const Json& event : json.at("traceEvents")) {
    if (event.value("ph", "") != "X") continue;
    const int rank = event.value("pid", 0);
    trace.ranks.insert(rank);
    if (rank != 0) continue;
    const std::string name = event.value("name", ""), kind = event.value("cat", "");
    if (kind == "phase") {
      trace.steps += name == "update";
      continue;
    }
    if (kind == "collective") continue;
    Seen& seen = trace.kernels[name];
    ++seen.launches;
    seen.flops += event.at("args").value("flops", 0.0);
    seen.seconds += event.value("dur", 0.0) * 1e-6;
  }
  if (trace.steps == 0) throw ConfigError(path + " holds no whole step");
  return trace;
}

}  // namespace

void add_attained(Roofline& roofline, const std::string& run) {
  const std::string path = file_of(run);
  const Trace trace = trace_of(path);
  if (std::ssize(trace.ranks) != roofline.ranks) {
    throw ConfigError(path + format(" is the trace of %zu rank%s, the job here has %d: say --ranks "
                                    "%zu",
                                    trace.ranks.size(), trace.ranks.size() == 1 ? "" : "s",
                                    roofline.ranks, trace.ranks.size()));
  }
  const auto steps = static_cast<double>(trace.steps);
  for (KernelRoof& kernel : roofline.kernels) {
    const auto found = trace.kernels.find(kernel.name);
    const Seen seen = found == trace.kernels.end() ? Seen{} : found->second;
    const double launches = static_cast<double>(seen.launches) / steps;
    const double flops = seen.flops / steps;
    const bool same = launches == static_cast<double>(kernel.launches) &&
                      std::abs(flops - kernel.flops) <= 1e-6 * kernel.flops;
    if (!same) {
      throw ConfigError(path + " is the trace of another job: a step there launches " +
                        kernel.name +
                        format(" %g times with %g FLOPs, of this job %lld times with %g", launches,
                               flops, static_cast<long long>(kernel.launches), kernel.flops));
    }
    kernel.attained_seconds = seen.seconds / steps;
  }
}

}  // namespace lockstep
