// SPDX-License-Identifier: Apache-2.0
#include "launch/report/experiment_report.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "launch/build_facts.hpp"
#include "launch/experiment/judge.hpp"
#include "launch/experiment/launcher.hpp"
#include "launch/experiment/points.hpp"
#include "launch/experiment/summary.hpp"
#include "launch/report/drawing.hpp"
#include "launch/report/experiment_charts.hpp"
#include "launch/report/numbers.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"
#include "runtime/config/keys.hpp"

namespace lockstep {

namespace {

bool scales(const ExperimentFile& e, const std::vector<RankSeries>& all) {
  return e.study != "compare" && std::any_of(all.begin(), all.end(), [](const RankSeries& series) {
           return series.size() > 1;
         });
}

void add_scaling(Page& page, Drawing& drawing, const ExperimentFile& e,
                 const std::vector<RankSeries>& all) {
  page.heading("Scaling");
  drawing.add(page, step_chart(all, e.study), "step_time",
              "Time of a step against ranks. Bars are intervals: of measurements as said below the "
              "table, of predictions those of the machine profile.");
  drawing.add(page, speed_chart(all), "throughput", "Throughput against ranks.");
  drawing.add(page, efficiency_chart(all), "efficiency",
              "Speed per rank against that of the smallest rank count of the series.");
}

// ---- a comparison

void add_comparison(Page& page, Drawing& drawing, const std::vector<PointSummary>& points) {
  page.heading("Comparison");
  drawing.add(page, comparison_chart(points), "throughput",
              "Throughput of each point; of measurements with the interval of the repetitions.");
  const BarChart target = target_chart(points);
  if (!target.groups.empty())
    drawing.add(page, target, "target", "Time from the first step to the target of the job.");
}

// ---- where the time goes

void add_breakdown(Page& page, Drawing& drawing, const std::vector<PointSummary>& points) {
  const StackChart chart = breakdown_chart(points);
  if (chart.stacks.empty()) return;
  page.heading("Where the time goes");
  const bool ran = std::any_of(points.begin(), points.end(),
                               [](const PointSummary& p) { return p.parts.has_value(); });
  std::string caption =
      "Parts of a step, the mean over its ranks. Communication counts while a rank computes "
      "nothing meanwhile, waiting for the slowest rank included.";
  if (ran) caption += " Measured (m): from the traced steps, in proportion to the median step.";
  drawing.add(page, chart, "breakdown", caption);
}

// How many ranks a job deserves. Of weak scaling the job grows with them.
void add_worth(Page& page, const ExperimentFile& e, const std::vector<RankSeries>& all) {
  constexpr double kLeastEfficiency = 0.7;  // unless the hypothesis says another
  const double least = e.hypothesis.efficiency > 0 ? e.hypothesis.efficiency : kLeastEfficiency;
  std::vector<std::string> items;
  for (const RankSeries& series : all) {
    const std::string who = series.front()->series.empty() ? "" : series.front()->series + ", ";
    const std::string text = worth_in_words(series, least);
    if (!text.empty()) items.push_back(who + text + ".");
  }
  if (e.study != "strong" || items.empty()) return;
  page.heading("How many ranks it deserves");
  page.list(items);
}

void add_bottleneck(Page& page, const std::vector<RankSeries>& all) {
  std::vector<std::string> items;
  for (const RankSeries& series : all) {
    const PointSummary &first = *series.front(), &last = *series.back();
    if (series.size() < 2) continue;
    const std::string who = series.front()->series.empty() ? "" : series.front()->series + ", ";
    if (first.parts && last.parts) {
      const PointWork from = measured_work(first), to = measured_work(last);
      items.push_back(who + "measured: " + in_words(bottleneck_of(from, to), from, to) + ".");
    }
    if (first.predicted && last.predicted) {
      const PointWork from = predicted_work(first), to = predicted_work(last);
      items.push_back(who + "predicted: " + in_words(bottleneck_of(from, to), from, to) + ".");
    }
  }
  if (items.empty()) return;
  page.heading("What limits the scaling");
  page.list(items);
}

void add_laws(Page& page, const ExperimentFile& e, const std::vector<RankSeries>& all) {
  std::vector<std::string> items;
  for (const RankSeries& series : all) {
    const std::string who = series.front()->series.empty() ? "" : series.front()->series + ": ";
    for (const LawFit& law : laws_of(series, e.study))
      items.push_back(who + in_words(law) + ".");
  }
  page.heading("Laws of scaling");
  if (!items.empty()) page.list(items);
  const std::size_t most =
      (*std::max_element(all.begin(), all.end(), [](const RankSeries& a, const RankSeries& b) {
        return a.size() < b.size();
      })).size();
  if (most < 3)
    page.note("The universal scalability law has three parameters and needs three rank counts.");
}

// ---- text and tables

void add_hypothesis(Page& page, const Hypothesis& h, const std::vector<PointSummary>& points) {
  if (h.empty()) return;
  page.heading("Hypothesis");
  if (!h.text.empty()) page.paragraph(h.text);
  std::vector<std::vector<std::string>> rows;
  for (const Judgement& j : judge(h, points))
    rows.push_back({j.expected, name_of(j.verdict), j.found});
  if (!rows.empty()) page.table({"expected", "verdict", "found"}, rows, 3);
}

std::vector<std::string> row_of(const PointSummary& p, bool target) {
  std::vector<std::string> row{
      p.name, std::to_string(p.ranks),
      format("%d", p.done) + (p.failed ? format(" (%d failed)", p.failed) : "")};
  row.push_back(p.step ? interval_text(*p.step, 1e3) : "-");
  row.push_back(p.predicted ? number_text(1e3 * p.predicted->step_seconds) : "-");
  row.push_back(p.step && p.predicted
                    ? format("%+.1f %%", 100 * (p.predicted->step_seconds / p.step->value - 1))
                    : "-");
  row.push_back(p.tokens_per_second ? number_text(p.tokens_per_second->value)
                : p.predicted       ? number_text(p.predicted->tokens_per_second)
                                    : "-");
  const double efficiency = p.efficiency > 0 ? p.efficiency : p.predicted_efficiency;
  row.push_back(efficiency > 0 ? format("%.1f %%", 100 * efficiency) : "-");
  row.push_back(p.memory_bytes > 0 ? number_text(p.memory_bytes / (1 << 20))
                : p.predicted      ? number_text(p.predicted->memory_bytes / (1 << 20))
                                   : "-");
  row.push_back(p.loss > 0 ? format("%.4f", p.loss) : "-");
  if (target) row.push_back(p.target_seconds ? interval_text(*p.target_seconds, 1) : "not reached");
  return row;
}

void add_table(Page& page, const ExperimentFile& e, const std::vector<PointSummary>& points) {
  page.heading("Results");
  const bool target = std::any_of(points.begin(), points.end(), [](const PointSummary& p) {
    return p.job.job.target_loss > 0 || p.job.job.target_accuracy > 0;
  });
  std::vector<std::string> head{"point", "ranks",    "runs",       "step, ms",     "predicted, ms",
                                "error", "tokens/s", "efficiency", "MiB per rank", "last loss"};
  if (target) head.emplace_back("to target, s");
  std::vector<std::vector<std::string>> rows;
  for (const PointSummary& p : points)
    rows.push_back(row_of(p, target));
  if (e.study == "compare") {  // speed per rank against fewer ranks means nothing there
    constexpr std::ptrdiff_t kEfficiency = 7;
    head.erase(head.begin() + kEfficiency);
    for (auto& row : rows)
      row.erase(row.begin() + kEfficiency);
  }
  page.table(head, rows);
  if (e.launcher == "predict") {
    page.note("Nothing was run: all numbers are predictions.");
    return;
  }
  page.note(format(
      "Step: the median of the repetitions' medians, with their 90 %% interval (of fewer than 8 "
      "repetitions: the smallest and the largest; of one: the interval of its steps). The first %d "
      "steps of a run are not counted. Error: predicted against measured.",
      e.skip_steps));
}

void add_failures(Page& page, const std::vector<PointSummary>& points) {
  bool heading = false;
  for (const PointSummary& p : points) {
    if (p.failed == 0) continue;
    if (!heading) page.heading("Failures");
    heading = true;
    page.paragraph(format("%s: %d of %d repetitions failed. The last lines of the last of them:",
                          p.name.c_str(), p.failed, p.failed + p.done));
    std::string lines;
    for (const std::string& line : p.last_lines)
      lines += line + "\n";
    page.preformatted(lines.empty() ? "(no output)" : lines);
  }
}

std::string list_of(const std::set<std::string>& all) {
  std::string text;
  for (const std::string& one : all)
    text += (text.empty() ? "" : ", ") + one;
  return text;
}

// What --set changed in the job of the file; nothing where the file's job is not there any more.
std::vector<std::string> set_by_hand(const ExperimentFile& e, const std::string& dir,
                                     const ResultRow& row) {
  try {
    for (ExperimentPoint& point : points_of(e)) {
      if (point.name != row.point) continue;
      const std::string& name = row.job.job.name;  // a run that was started has one of its own
      if (std::filesystem::exists(dir + "/jobs/" + name + ".toml")) point.job.job.name = name;
      point.job.job.machine = row.job.job.machine;
      point.job.job.run_dir = row.job.job.run_dir;
      return settings_between(point.job, row.job);
    }
  } catch (const ConfigError&) {
  }
  return {};
}

// Options go to lines of their own: paper does not break them then.
std::string commands_of(const ExperimentFile& e, const std::string& dir, const ResultRow& row) {
  constexpr const char* kNext = " \\\n  ";
  std::string text = "# all of it\n" + shell_text({"lockstep", "experiment", e.path}) + kNext +
                     "--launcher " + e.launcher;
  if (!e.machine.empty()) text += kNext + shell_text({"--machine", e.machine});
  for (const std::string& setting : set_by_hand(e, dir, row))
    text += kNext + shell_text({"--set", setting});
  text += std::string(kNext) + "--dir ANOTHER\n";
  if (e.launcher != "predict") {
    text += "# one repetition, with " + e.launcher + "\nlockstep train " +
            shell_text({dir + "/jobs"}) + "/NAME.toml" + kNext + "--set job.run_dir=ANOTHER\n";
  }
  return text + "# this page\n" + shell_text({"lockstep", "report", dir}) + "\n";
}

void add_reproduction(Page& page, const ExperimentFile& e, const std::string& dir,
                      const std::vector<ResultRow>& rows) {
  std::set<std::string> hosts, versions, days;
  for (const ResultRow& row : rows) {
    hosts.insert(row.host);
    versions.insert(row.version);
    days.insert(row.started.substr(0, 10));
  }
  const BuildFacts build = build_facts();
  page.heading("How to reproduce");
  page.preformatted(commands_of(e, dir, rows.back()));
  page.paragraph(
      "lockstep " + list_of(versions) + " on " + list_of(hosts) + ", " + list_of(days) + "; " +
      build.compiler + ", " + build.simd + ", " + build.gemm + "; launcher " + e.launcher + ", " +
      (e.launcher == "predict" ? "nothing was run."
                               : format("%d repetitions, order shuffled with seed %lld.",
                                        e.repetitions, static_cast<long long>(e.order_seed))) +
      (e.machine.empty() ? "" : " Predictions by the profile " + e.machine + "."));
  page.note(
      "results.jsonl and results.csv beside this page hold one row per repetition, with the "
      "complete "
      "configuration; experiment.toml is the experiment, figures/ has the diagrams as SVG files.");
}

std::string summary_line(const ExperimentFile& e, const std::vector<PointSummary>& points) {
  int done = 0, failed = 0;
  for (const PointSummary& p : points) {
    done += p.done;
    failed += p.failed;
  }
  const char* kind = e.study == "strong" ? "Strong scaling"
                     : e.study == "weak" ? "Weak scaling"
                                         : "Comparison";
  return format("%s of %zu points, %d %s%s.", kind, points.size(), done,
                e.launcher == "predict" ? "predictions" : "runs",
                failed ? format(", %d runs failed", failed).c_str() : "");
}

}  // namespace

ReportFile write_experiment_report(const std::string& dir, const ExperimentFile& e,
                                   const std::vector<ResultRow>& rows,
                                   const std::vector<std::string>& order) {
  const std::vector<PointSummary> points = summarize(rows, order);
  const std::vector<RankSeries> all = series_of(points);
  Page page(e.name);
  Drawing drawing(dir);
  page.paragraph(summary_line(e, points));
  add_hypothesis(page, e.hypothesis, points);
  const bool scaling = scales(e, all);
  const bool any = std::any_of(points.begin(), points.end(), [](const PointSummary& p) {
    return p.tokens_per_second || p.predicted;
  });
  if (!any) {
    page.paragraph("No run gave a result: there is nothing to draw.");
  } else if (scaling) {
    add_scaling(page, drawing, e, all);
    add_worth(page, e, all);
    add_bottleneck(page, all);
  } else {
    add_comparison(page, drawing, points);
  }
  add_breakdown(page, drawing, points);
  if (any && scaling) add_laws(page, e, all);
  add_table(page, e, points);
  add_failures(page, points);
  add_reproduction(page, e, dir, rows);
  const std::string path = dir + "/report.html";
  write_file(path, page.html());
  return {path, drawing.missing()};
}

}  // namespace lockstep
