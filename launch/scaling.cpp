// SPDX-License-Identifier: Apache-2.0
// `lockstep scaling JOB.toml --machine M --ranks 1,2,4,...`: predicted strong and weak scaling, and
// what the laws of scaling say of it.
#include "perfmodels/scaling.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "launch/command.hpp"
#include "launch/prediction_options.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

struct ScalingOptions : PredictionOptions {
  std::vector<int> counts{};
  std::string plot{};
};

std::vector<int> counts_of(const ScalingOptions& options, const Machine& machine) {
  std::vector<int> counts = options.counts;
  const int most = std::min(machine.nodes * machine.devices_per_node, 4096);
  for (int p = 1; counts.empty() || (options.counts.empty() && p <= most); p *= 2)
    counts.push_back(p);
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  return counts;
}

std::string heading_of(const ScalingCurve& curve) {
  const auto sequences = static_cast<long long>(curve.steps.front().sequences);
  if (curve.kind == Scaling::strong) {
    return format("Strong scaling: %lld sequences per step\n", sequences);
  }
  return format("Weak scaling: %lld sequences per step and rank\n",
                sequences / curve.steps.front().ranks);
}

std::string table_of(const ScalingCurve& curve) {
  std::string text = heading_of(curve);
  text += format("%8s %12s %14s %11s %12s %12s\n", "ranks", "step ms", "tokens/s", "efficiency",
                 "exposed ms", "waiting ms");
  for (const ScaledStep& s : curve.steps) {
    text += format("%8d %12.2f %14.0f %9.1f %% %12.2f %12.2f%s\n", s.ranks, 1e3 * s.seconds,
                   s.tokens_per_second, 100 * s.efficiency, 1e3 * s.exposed, 1e3 * s.waiting,
                   s.fits ? "" : "   does not fit into memory");
  }
  for (const Skipped& skipped : curve.skipped)
    text += "left out: " + skipped.why + "\n";
  for (const LawFit& law : curve.laws)
    text += in_words(law) + "\n";
  if (curve.laws.size() < 2) text += "Laws need more points: two or three rank counts at least\n";
  return text;
}

Json json_of(const Figure& f, bool known) {
  return known ? Json{f.value, f.low, f.high} : Json{f.value};
}

Json json_of(const LawFit& law) {
  Json json = {{"law", name_of(law.law)},
               {"points", law.points},
               {"share", json_of(law.share, law.has_intervals())},
               {"mean_error", law.mean_error},
               {"worst_error", law.worst_error},
               {"in_words", in_words(law)}};
  if (law.law == Law::usl) {
    json["coherence"] = json_of(law.coherence, law.has_intervals());
    json["peak_ranks"] = json_of(law.peak_ranks(), law.has_intervals());
  }
  return json;
}

Json json_of(const ScalingCurve& curve) {
  Json steps = Json::array(), laws = Json::array(), skipped = Json::array();
  for (const ScaledStep& s : curve.steps) {
    steps.push_back({{"ranks", s.ranks},
                     {"sequences", s.sequences},
                     {"step_seconds", s.seconds},
                     {"interval", {s.low, s.high}},
                     {"tokens_per_second", s.tokens_per_second},
                     {"efficiency", s.efficiency},
                     {"exposed_seconds", s.exposed},
                     {"waiting_seconds", s.waiting},
                     {"memory_bytes", s.memory_bytes},
                     {"fits", s.fits},
                     {"in_range", s.in_range}});
  }
  for (const LawFit& law : curve.laws)
    laws.push_back(json_of(law));
  for (const Skipped& s : curve.skipped)
    skipped.push_back({{"ranks", s.ranks}, {"reason", s.why}});
  return {{"scaling", name_of(curve.kind)}, {"steps", steps}, {"skipped", skipped}, {"laws", laws}};
}

int show_scaling(const ScalingOptions& options) {
  const JobConfig job = job_of(options);
  const Machine machine = machine_of(options);
  const std::vector<int> counts = counts_of(options, machine);
  const std::vector<ScalingCurve> curves = {scale(job, machine, Scaling::strong, counts),
                                            scale(job, machine, Scaling::weak, counts)};
  if (options.json) {
    Json all = Json::array();
    for (const ScalingCurve& curve : curves)
      all.push_back(json_of(curve));
    print_once(all.dump(2) + "\n");
  } else {
    print_once("Predicted on " + machine.name +
               (machine.calibrated ? "" : ", whose profile is not calibrated") + "\n\n" +
               table_of(curves[0]) + "\n" + table_of(curves[1]));
  }
  if (options.plot.empty()) return 0;
  const Plot plot = plot_of(curves, job.job.name + " on " + machine.name);
  const std::string line = told(draw(plot, options.plot), options.plot);
  if (!options.json) print_once("\n" + line + "\n");
  return 0;
}

}  // namespace

CommandAction prepare_scaling(CLI::App& app) {
  auto options = std::make_shared<ScalingOptions>();
  add_job_options(app, *options);
  add_machine_option(app, *options);
  add_json_option(app, *options);
  app.add_option("--ranks", options->counts,
                 "Rank counts, 1,2,4,... (default: powers of two, as many as the machine has)")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("--plot", options->plot, "Draw it: an SVG file, by gnuplot");
  return [options] { return show_scaling(*options); };
}

}  // namespace lockstep
