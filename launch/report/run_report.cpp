// SPDX-License-Identifier: Apache-2.0
#include "launch/report/run_report.hpp"

#include "launch/report/drawing.hpp"
#include "launch/report/numbers.hpp"
#include "launch/report/reported_run.hpp"
#include "launch/report/run_charts.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

std::string error_text(double predicted, double measured) {
  return measured > 0 ? format("%+.1f %%", 100 * (predicted / measured - 1)) : "-";
}

void add_prediction(Page& page, const ReportedRun& run) {
  page.heading("Predicted against measured");
  if (!run.predicted) {
    page.paragraph("No prediction: " + run.why_not + ".");
    return;
  }
  const StepPrediction& p = run.predicted->step;
  const MeasuredRun& m = run.measured;
  const auto memory = static_cast<double>(p.memory.peak);
  std::vector<std::vector<std::string>> rows{
      {"step, ms", interval_text({m.step_seconds, m.low, m.high}, 1e3),
       interval_text({p.seconds, p.low, p.high}, 1e3), error_text(p.seconds, m.step_seconds)},
      {"tokens/s", number_text(m.tokens_per_second), number_text(p.tokens_per_second),
       error_text(p.tokens_per_second, m.tokens_per_second)}};
  if (m.memory_bytes > 0) {
    rows.push_back({"peak memory of a rank, MiB", format("%.1f", m.memory_bytes / (1 << 20)),
                    format("%.1f", memory / (1 << 20)), error_text(memory, m.memory_bytes)});
  }
  const StepParts parts = parts_of(p.breakdown);
  for (std::size_t i = 0; m.parts && i < kNumParts; ++i) {
    rows.push_back({std::string(title_of(static_cast<StepPart>(i))) + ", ms",
                    number_text(1e3 * m.parts->seconds[i]), number_text(1e3 * parts.seconds[i]),
                    m.parts->seconds[i] > 0.01 * m.step_seconds
                        ? error_text(parts.seconds[i], m.parts->seconds[i])
                        : "-"});
  }
  page.table({"", "measured", "predicted", "error"}, rows);
  page.note("By the profile of " + run.predicted->machine +
            (p.in_range ? "." : "; the job lies outside of what was measured for it.") +
            (run.predicted->note.empty() ? "" : " " + run.predicted->note + ".") +
            " Measured: the median step but for the first two, with the 90 % interval of its order "
            "statistics.");
}

void add_memory(Page& page, const ReportedRun& run) {
  if (!run.predicted) return;
  const MemoryStats& m = run.predicted->step.memory;
  std::vector<std::vector<std::string>> rows;
  for (int use = 0; use < kNumMemoryUses; ++use) {
    rows.push_back({name_of(static_cast<MemoryUse>(use)),
                    format("%.1f", static_cast<double>(m.at_peak[static_cast<std::size_t>(use)]) /
                                       (1 << 20))});
  }
  rows.push_back({"together, predicted", format("%.1f", static_cast<double>(m.peak) / (1 << 20))});
  if (run.facts.memory_bytes > 0)
    rows.push_back({"together, measured", format("%.1f", run.facts.memory_bytes / (1 << 20))});
  page.heading("Memory at its peak, of the rank that needs most");
  page.table({"", "MiB"}, rows);
}

// A run that was stopped, or still trains, has fewer than its job asks for.
std::string steps_text(const ReportedRun& run) {
  const auto asked = static_cast<long long>(run.job.job.steps);
  const auto last = static_cast<long long>(run.log.steps.back().step);
  const bool at_target = run.facts.target_seconds > 0;
  return last < asked && !at_target ? format("Step %lld of %lld", last, asked)
                                    : format("%zu steps", run.log.steps.size());
}

std::string summary_line(const ReportedRun& run) {
  const JobConfig& job = run.job;
  const auto count = [](int n, const char* noun) {
    return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
  };
  std::string text =
      job.model.kind +
      format(", %lld layers, width %lld, sequence %lld; %lld sequences a step",
             static_cast<long long>(job.model.layers), static_cast<long long>(job.model.hidden),
             static_cast<long long>(job.model.sequence), static_cast<long long>(job.batch.global));
  if (run.facts.ranks > 0) text += " on " + count(run.facts.ranks, "rank");
  if (run.facts.nodes > 0) text += " of " + count(run.facts.nodes, "node");
  return text + format(". %s, last loss %.4f", steps_text(run).c_str(), run.log.steps.back().loss) +
         (run.log.evaluations.empty()
              ? "."
              : format(", validation loss %.4f, accuracy %.2f %%.", run.log.evaluations.back().loss,
                       100 * run.log.evaluations.back().accuracy));
}

void add_target(Page& page, const ReportedRun& run) {
  const double loss = run.job.job.target_loss, accuracy = run.job.job.target_accuracy;
  if (loss <= 0 && accuracy <= 0) return;
  const std::string target = loss > 0 ? format("a validation loss of %g, ", loss)
                                      : format("a validation accuracy of %g %%, ", 100 * accuracy);
  page.paragraph("Target: " + target +
                 (run.facts.target_seconds > 0
                      ? "reached after " + number_text(run.facts.target_seconds) + " s of training."
                      : "not reached."));
}

void add_reproduction(Page& page, const ReportedRun& run) {
  page.heading("How to reproduce");
  const std::string start =
      run.facts.ranks > 1 ? format("mpirun -np %d ", run.facts.ranks) : std::string();
  page.preformatted(start + "lockstep train " + run.dir +
                    "/job.toml \\\n  --set job.run_dir=ANOTHER\nlockstep report " + run.dir +
                    "     # this page again");
  if (!run.facts.host.empty())
    page.paragraph("lockstep " + run.facts.version + " on " + run.facts.host + ".");
  page.note("job.toml beside this page has every key as it was used, metrics.jsonl every step.");
}

}  // namespace

ReportFile write_run_report(const std::string& run_dir, const std::string& machine) {
  const ReportedRun run = load_reported_run(run_dir, machine);
  Page page(run.job.job.name);
  Drawing drawing(run_dir);
  page.paragraph(summary_line(run));
  add_target(page, run);
  add_run_charts(page, drawing, run);
  add_prediction(page, run);
  add_memory(page, run);
  add_reproduction(page, run);
  const std::string path = run_dir + "/report.html";
  write_file(path, page.html());
  return {path, drawing.missing()};
}

}  // namespace lockstep
