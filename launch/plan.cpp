// SPDX-License-Identifier: Apache-2.0
// `lockstep plan JOB.toml --machine M --ranks N`: the layouts of a job on so many ranks, the
// fastest first, and those that do not fit into memory with the reason.
#include "perfmodels/plan.hpp"

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "launch/command.hpp"
#include "launch/number_checks.hpp"
#include "launch/prediction.hpp"
#include "launch/prediction_options.hpp"
#include "perfmodels/machine/notes.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;
constexpr double kGiB = 1 << 30;

struct PlanOptions : PredictionOptions {
  int top = 10;
  PlanChoices choices{};
};

Json json_of(const PricedLayout& p) {
  const Layout& l = p.layout;
  return {{"layout",
           {{"data", l.degrees.data},
            {"tensor", l.degrees.tensor},
            {"pipeline", l.degrees.pipeline},
            {"chunks", l.chunks},
            {"schedule", l.schedule},
            {"zero", l.zero},
            {"recompute", l.recompute},
            {"sequence_parallel", l.sequence_parallel},
            {"micro", l.micro},
            {"bucket_mb", l.bucket_mb},
            {"algorithm", l.algorithm},
            {"compression", l.compression}}},
          {"step_seconds", p.fits ? Json(p.seconds) : Json()},
          {"memory_bytes", static_cast<std::int64_t>(p.memory_bytes)},
          {"fits", p.fits},
          {"reason", p.reason},
          {"breakdown",
           {{"compute", p.compute},
            {"exposed_communication", p.exposed},
            {"waiting", p.waiting},
            {"hidden_communication", p.hidden},
            {"pipeline_bubble", p.bubble},
            {"overlap_loss", p.overlap_loss}}}};
}

std::string row(int place, const PricedLayout& p) {
  return format("%4d %10.2f %9.2f %9.2f %9.2f %9.2f %8.2f  %s\n", place, 1e3 * p.seconds,
                1e3 * p.compute, 1e3 * p.exposed, 1e3 * p.waiting, 1e3 * p.hidden,
                p.memory_bytes / kGiB, text_of(p.layout).c_str());
}

// Layouts that differ in nothing but the name of what `auto` chooses anyway are one.
bool same_but_name(const PricedLayout& a, const PricedLayout& b) {
  return a.seconds == b.seconds && a.layout.degrees == b.layout.degrees &&
         a.layout.zero == b.layout.zero && a.layout.recompute == b.layout.recompute &&
         a.layout.chunks == b.layout.chunks && a.layout.schedule == b.layout.schedule &&
         a.layout.sequence_parallel == b.layout.sequence_parallel &&
         a.layout.micro == b.layout.micro && a.layout.bucket_mb == b.layout.bucket_mb &&
         a.layout.compression == b.layout.compression;
}

std::string table_of(const Plan& plan, const PlanOptions& options, const Machine& machine) {
  const std::size_t rejected = plan.layouts.size() - plan.num_fitting;
  std::string text =
      format("%zu layouts of %d ranks on %s: %zu fit into memory, %zu do not\n\n",
             plan.layouts.size(), options.ranks, machine.name.c_str(), plan.num_fitting, rejected);
  if (const std::string note = notes_on(machine); !note.empty()) text += note + "\n\n";
  text += format("%4s %10s %9s %9s %9s %9s %8s  %s\n", "", "step ms", "compute", "exposed",
                 "waiting", "hidden", "GiB", "layout");
  int place = 0;
  const PricedLayout* before = nullptr;
  for (const PricedLayout& p : plan.layouts) {
    if (!p.fits || place == options.top) break;
    if (before && same_but_name(*before, p)) continue;
    text += row(++place, p);
    if (place > 1) text += format("%4s %10s  %s\n", "", "", p.reason.c_str());
    before = &p;
  }
  int shown = 0;
  for (const PricedLayout& p : plan.layouts) {
    if (p.fits || p.layout.algorithm != "auto") continue;
    if (++shown > options.top) continue;
    text += "rejected: " + text_of(p.layout) + ": " + p.reason + "\n";
  }
  if (shown > options.top) text += format("rejected: %d more like these\n", shown - options.top);
  for (const auto& [why, count] : plan.left_out)
    text += format("left out %d: %s\n", count, why.c_str());
  return text + format("\n%d recordings; %.3f ms per layout\n", plan.recordings,
                       1e3 * plan.seconds_per_layout);
}

int show_plan(PlanOptions options) {
  const JobConfig job = job_of(options);
  const Machine machine = machine_of(options, job);
  options.ranks = ranks_of(job, options.ranks, machine.devices_per_node);
  const Plan plan = lockstep::plan(job, options.ranks, machine, options.choices);
  if (options.json) {
    Json all = Json::array();
    for (const PricedLayout& p : plan.layouts)
      all.push_back(json_of(p));
    print_once(all.dump(2) + "\n");
    return 0;
  }
  std::string text = table_of(plan, options, machine);
  if (plan.num_fitting > 0) {
    const JobConfig best = with_layout(job, plan.layouts.front().layout);
    text +=
        "\nThe first of them:\n\n" + prediction_table(predict_job(best, machine, options.ranks));
  }
  print_once(text);
  return 0;
}

}  // namespace

CommandAction prepare_plan(CLI::App& app) {
  auto options = std::make_shared<PlanOptions>();
  add_job_options(app, *options);
  add_machine_option(app, *options);
  add_ranks_option(app, *options);
  add_json_option(app, *options);
  app.add_option("--top", options->top, "Layouts to show (default 10)")->check(count_from(1));
  app.add_option("--buckets", options->choices.bucket_mb, "Sizes of buckets to try, MB")
      ->delimiter(',')
      ->check(positive());
  app.add_option("--compressions", options->choices.compressions,
                 "Compressions of gradients to try (default: the job's; others change the sums)")
      ->delimiter(',');
  app.add_option("--keep", options->choices.keep,
                 "Keys of [parallel] and batch.micro that stay as the job has them")
      ->delimiter(',');
  return [options] { return show_plan(*options); };
}

}  // namespace lockstep
