// SPDX-License-Identifier: Apache-2.0
// `lockstep scaling JOB.toml --machine M --nodes 1,2,4,...`: predicted strong scaling with what it
// costs, how many nodes the job deserves, weak scaling, and what the laws of scaling say of both.
#include "perfmodels/scaling.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "launch/command.hpp"
#include "launch/number_checks.hpp"
#include "launch/prediction_options.hpp"
#include "launch/step_table.hpp"
#include "perfmodels/machine/notes.hpp"
#include "perfmodels/scaling_remedy.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

struct ScalingOptions : PredictionOptions {
  std::vector<int> counts{}, nodes{};
  double efficiency = 0.7;
  std::string plot{};
};

std::vector<int> counts_of(const ScalingOptions& options, const Machine& machine) {
  std::vector<int> counts = options.counts;
  for (const int n : options.nodes)
    counts.push_back(n * machine.devices_per_node);
  const bool given = !counts.empty();
  const int most = std::min(machine.nodes * machine.devices_per_node, 4096);
  for (int p = 1; counts.empty() || (!given && p <= most); p *= 2)
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
  const int ranks = curve.steps.front().ranks;
  return format("Weak scaling: %lld sequences per step on %d rank%s, on more in proportion\n",
                sequences, ranks, ranks == 1 ? "" : "s");
}

// Of several with one reason the first and the last.
std::string left_out(const std::vector<Skipped>& skipped) {
  if (skipped.empty()) return "";
  std::string text = "left out: " + skipped.front().why + "\n";
  if (skipped.size() > 2) text += format("left out: %zu more like these\n", skipped.size() - 2);
  return text + (skipped.size() > 1 ? "left out: " + skipped.back().why + "\n" : "");
}

// Hours and node hours: of the whole job, where its work stays the same.
std::string row_of(const ScaledStep& s, std::int64_t steps, Scaling kind) {
  std::string text =
      format("%6d %7d %12.2f %14.0f %9.1f %% %12.2f %12.2f", s.nodes, s.ranks, 1e3 * s.seconds,
             s.tokens_per_second, 100 * s.efficiency, 1e3 * s.exposed, 1e3 * s.waiting);
  if (kind == Scaling::strong) {
    text += format(" %12s %11.4g", duration_text(static_cast<double>(steps) * s.seconds).c_str(),
                   s.node_hours(steps));
  }
  return text + (s.fits ? "\n" : "   does not fit into memory\n");
}

std::string table_of(const ScalingCurve& curve, std::int64_t steps) {
  std::string text = heading_of(curve);
  text += format("%6s %7s %12s %14s %11s %12s %12s", "nodes", "ranks", "step ms", "tokens/s",
                 "efficiency", "exposed ms", "waiting ms");
  if (curve.kind == Scaling::strong) text += format(" %12s %11s", "job takes", "node hours");
  text += "\n";
  for (const ScaledStep& s : curve.steps)
    text += row_of(s, steps, curve.kind);
  text += left_out(curve.skipped);
  for (const LawFit& law : curve.laws)
    text += in_words(law) + "\n";
  if (curve.laws.empty()) text += "Laws of scaling need two rank counts at least\n";
  if (curve.laws.size() == 1)
    text += "The Universal Scalability Law needs three rank counts at least\n";
  return text;
}

std::string size_of(const ScaledStep& s) {
  return format("%d node%s (%d rank%s)", s.nodes, s.nodes == 1 ? "" : "s", s.ranks,
                s.ranks == 1 ? "" : "s");
}

// "1:02:03 and 12 node hours"
std::string cost_of(const ScaledStep& s, std::int64_t steps) {
  return duration_text(static_cast<double>(steps) * s.seconds) +
         format(" and %.4g node hours", s.node_hours(steps));
}

std::string remedy_text(const std::optional<Remedy>& remedy, std::int64_t steps) {
  if (!remedy) return "";
  return format(". With %s = %s, %s would take %s, an efficiency of %.0f %%", remedy->key.c_str(),
                remedy->value.c_str(), size_of(remedy->step).c_str(),
                cost_of(remedy->step, steps).c_str(), 100 * remedy->step.efficiency);
}

std::string advice_text(const std::optional<Advice>& advice, std::int64_t steps,
                        double efficiency) {
  if (!advice) {
    return "The job fits nowhere: tensor groups, a pipeline, parallel.zero or recompute divide its "
           "memory (lockstep plan finds layouts that fit)";
  }
  const ScaledStep &most = advice->most, &first = advice->first;
  std::string text =
      format("The job deserves %s: of these counts the most with an efficiency of at least %g %%",
             size_of(most).c_str(), 100 * efficiency);
  text += format(". Its %lld steps take %s", static_cast<long long>(steps),
                 cost_of(most, steps).c_str());
  if (most.ranks > first.ranks)
    text += "; on " + size_of(first) + " they take " + cost_of(first, steps);
  if (!advice->next) return text + "; more were not asked for, and may pay, too";
  return text + "; on " + size_of(*advice->next) +
         format(" %s, an efficiency of %.0f %%", cost_of(*advice->next, steps).c_str(),
                100 * advice->next->efficiency);
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

Json json_of(const ScalingCurve& curve, std::int64_t num_steps) {
  Json steps = Json::array(), laws = Json::array(), skipped = Json::array();
  for (const ScaledStep& s : curve.steps) {
    steps.push_back({{"ranks", s.ranks},
                     {"nodes", s.nodes},
                     {"sequences", s.sequences},
                     {"step_seconds", s.seconds},
                     {"interval", {s.low, s.high}},
                     {"tokens_per_second", s.tokens_per_second},
                     {"efficiency", s.efficiency},
                     {"exposed_seconds", s.exposed},
                     {"waiting_seconds", s.waiting},
                     {"node_hours", s.node_hours(num_steps)},
                     {"memory_bytes", static_cast<std::int64_t>(s.memory_bytes)},
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
  const Machine machine = machine_of(options, job);
  const std::vector<int> counts = counts_of(options, machine);
  const std::vector<ScalingCurve> curves = {scale(job, machine, Scaling::strong, counts),
                                            scale(job, machine, Scaling::weak, counts)};
  const auto advice = advise(curves[0], options.efficiency);
  const bool falls = advice && advice->next;
  const auto remedy = falls ? remedy_at(job, machine, *advice->next) : std::nullopt;
  const std::string note = notes_on(machine);
  if (options.json) {
    Json all = Json::array();
    for (const ScalingCurve& curve : curves)
      all.push_back(json_of(curve, job.job.steps));
    all[0]["deserves"] = advice ? Json{{"nodes", advice->most.nodes},
                                       {"ranks", advice->most.ranks},
                                       {"least_efficiency", options.efficiency}}
                                : Json();
    all[0]["remedy"] = remedy ? Json{{"key", remedy->key},
                                     {"value", remedy->value},
                                     {"ranks", remedy->step.ranks},
                                     {"step_seconds", remedy->step.seconds},
                                     {"efficiency", remedy->step.efficiency}}
                              : Json();
    print_once(all.dump(2) + "\n");
  } else {
    print_once("Predicted on " + machine.name + "\n" + (note.empty() ? "" : note + "\n") + "\n" +
               table_of(curves[1], job.job.steps) + "\n" + table_of(curves[0], job.job.steps) +
               "\n" + advice_text(advice, job.job.steps, options.efficiency) +
               remedy_text(remedy, job.job.steps) + ".\n");
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
  auto* ranks = app.add_option("--ranks", options->counts,
                               "Rank counts, 1,2,4,... (default: powers of two, as many as the "
                               "machine has)")
                    ->delimiter(',')
                    ->check(count_from(1));
  app.add_option("--nodes", options->nodes, "Node counts instead, with a rank for every device")
      ->delimiter(',')
      ->check(count_from(1))
      ->excludes(ranks);
  app.add_option("--efficiency", options->efficiency,
                 "What the job has to keep of the smallest count's speed per rank to deserve more "
                 "(default 0.7)")
      ->check(share());
  app.add_option("--plot", options->plot, "Draw it: an SVG file, by gnuplot");
  return [options] { return show_scaling(*options); };
}

}  // namespace lockstep
