// SPDX-License-Identifier: Apache-2.0
// `lockstep roofline JOB.toml --machine M`: the kernels of a step against what the machine can
// attain, and, with --trace RUN, what a run did attain; the step's work, depth and parallelism.
#include "perfmodels/roofline.hpp"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "launch/command.hpp"
#include "launch/prediction.hpp"
#include "launch/prediction_options.hpp"
#include "perfmodels/plot.hpp"
#include "perfmodels/record_step.hpp"
#include "perfmodels/work_depth.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

struct RooflineOptions : PredictionOptions {
  std::string trace, plot;
};

std::string row(const KernelRoof& k) {
  const double most = k.attainable_seconds();
  const double rate = most > 0 ? k.flops / most * 1e-9 : 0;
  std::string text = format("%-24s %8lld %10.3f %10.2f %10.2f %-7s %12.1f %11.1f", k.name.c_str(),
                            static_cast<long long>(k.launches), k.flops * 1e-9, k.bytes * 1e-6,
                            k.intensity(), k.bound(), rate, most * 1e6);
  if (k.attained_seconds > 0) {
    text += format(" %11.1f %9.1f %%", k.attained_seconds * 1e6, most / k.attained_seconds * 100);
  }
  return text + "\n";
}

std::string table_of(const Roofline& r, bool measured) {
  std::string text = format(
      "One step of one rank of %d on %s, %s: peak %.4g GFLOP/s, memory %.4g "
      "GB/s; compute-bound from %.3g FLOPs per byte\n\n",
      r.ranks, r.machine.c_str(), r.dtype.c_str(), r.peak_flops * 1e-9, r.memory_bandwidth * 1e-9,
      r.ridge());
  text += format("%-24s %8s %10s %10s %10s %-7s %12s %11s", "kernel", "launches", "GFLOP", "MB",
                 "FLOP/byte", "bound", "att. GFLOP/s", "at least us");
  text += measured ? format(" %11s %11s\n", "attained us", "of the roof") : "\n";
  for (const KernelRoof& k : r.kernels)
    text += row(k);
  // The sum of what each kernel takes at least, which is more than the sums' own roof.
  double least = 0, attained = 0;
  for (const KernelRoof& k : r.kernels) {
    least += k.attainable_seconds();
    attained += k.attained_seconds;
  }
  const KernelRoof sum = r.sum();
  text += format("%-24s %8lld %10.3f %10.2f %10.2f %-7s %12.1f %11.1f", "all, one after another",
                 static_cast<long long>(sum.launches), sum.flops * 1e-9, sum.bytes * 1e-6,
                 sum.intensity(), "", least > 0 ? sum.flops / least * 1e-9 : 0, least * 1e6);
  text += measured && attained > 0
              ? format(" %11.1f %9.1f %%\n", attained * 1e6, least / attained * 100)
              : "\n";
  for (const LinkRoof& link : r.links) {
    const bool inside = link.level == "inside";
    text += format(
        "\nlinks %s: a %s sends %.2f MB for %.3f GFLOP, %.4g FLOPs per byte; at %.4g GB/s "
        "that takes %.1f us",
        link.level.c_str(), inside ? "rank" : "node", link.bytes * 1e-6, link.flops * 1e-9,
        link.intensity(), link.bandwidth * 1e-9, link.seconds() * 1e6);
    text += link.seconds() > least ? ": more than the kernels take, so this roof is the lowest"
                                   : ": it can hide behind the kernels";
  }
  return text + (r.links.empty() ? "" : "\n");
}

std::string sentence_of(const WorkDepth& w) {
  return format(
      "\nwork %.4g FLOPs, depth %.4g on the longest chain: parallelism %.3g. Up to so many "
      "processors,\neach can be busy at least half of the time (Brent).\n",
      w.work, w.depth, w.parallelism());
}

std::string json_of(const Roofline& r, const WorkDepth& w) {
  Json kernels = Json::array(), links = Json::array();
  for (const KernelRoof& k : r.kernels) {
    kernels.push_back({{"name", k.name},
                       {"launches", k.launches},
                       {"flops", k.flops},
                       {"bytes", k.bytes},
                       {"intensity", k.intensity()},
                       {"bound", k.bound()},
                       {"attainable_seconds", k.attainable_seconds()}});
    if (k.attained_seconds > 0) kernels.back()["attained_seconds"] = k.attained_seconds;
  }
  for (const LinkRoof& link : r.links) {
    links.push_back({{"level", link.level},
                     {"bytes", link.bytes},
                     {"flops", link.flops},
                     {"intensity", link.intensity()},
                     {"bandwidth", link.bandwidth},
                     {"seconds", link.seconds()}});
  }
  const Json all = {{"machine", r.machine},
                    {"dtype", r.dtype},
                    {"ranks", r.ranks},
                    {"peak_flops", r.peak_flops},
                    {"memory_bandwidth", r.memory_bandwidth},
                    {"ridge", r.ridge()},
                    {"work", w.work},
                    {"depth", w.depth},
                    {"kernels", kernels},
                    {"links", links}};
  return all.dump(2) + "\n";
}

int show_roofline(const RooflineOptions& options) {
  const JobConfig job = job_of(options);
  const int ranks = ranks_of(job, options.ranks, 1);
  const auto record = record_step(job, ranks);
  Roofline roofline =
      roofline_of(record->recording, ranks, machine_of(options, job), job.job.precision);
  if (!options.trace.empty()) add_attained(roofline, options.trace);
  const WorkDepth w = work_depth_of(record->recording);
  print_once(options.json ? json_of(roofline, w)
                          : table_of(roofline, !options.trace.empty()) + sentence_of(w));
  if (options.plot.empty()) return 0;
  const std::string line = told(draw(plot_of(roofline), options.plot), options.plot);
  if (!options.json) print_once("\n" + line + "\n");
  return 0;
}

}  // namespace

CommandAction prepare_roofline(CLI::App& app) {
  auto options = std::make_shared<RooflineOptions>();
  add_job_options(app, *options);
  add_machine_option(app, *options);
  add_ranks_option(app, *options);
  add_json_option(app, *options);
  app.add_option("--trace", options->trace, "Run directory (or trace.json) of the same job");
  app.add_option("--plot", options->plot, "Draw it: an SVG file, by gnuplot");
  return [options] { return show_roofline(*options); };
}

}  // namespace lockstep
