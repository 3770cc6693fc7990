// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/summary.hpp"

#include "launch/experiment/judge.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

// Milliseconds in, seconds out.
class Trace {
 public:
  Trace& add(const char* name, OperationKind kind, int rank, double begin, double end,
             const OperationGroup* group = nullptr) {
    MeasuredOperation m;
    m.operation.name = name;
    m.operation.kind = kind;
    m.operation.group = group;
    m.operation.shape[0] = 10;
    m.rank = rank;
    m.begin = 1e-3 * begin;
    m.seconds = 1e-3 * (end - begin);
    trace_.operations.push_back(m);
    trace_.ranks = std::max(trace_.ranks, rank + 1);
    return *this;
  }
  const MeasuredTrace& of(int steps) {
    trace_.steps = steps;
    return trace_;
  }

 private:
  MeasuredTrace trace_;
};

StepParts parts(double computing, double optimizer, double communication, double bubble = 0) {
  return {{computing, optimizer, communication, 0, bubble, 0}};
}

// A run of a batch of 4 sequences of 256 tokens.
ResultRow row(const std::string& point, int ranks, int repetition, double step,
              const StepParts& measured = {}, const std::string& series = "") {
  ResultRow r{.version = "v", .point = point, .series = series, .fingerprint = point};
  r.ranks = ranks;
  r.repetition = repetition;
  r.status = "done";
  r.job.batch.global = 4;
  r.values = {{"ranks", std::to_string(ranks)}, {"backend", point}};
  MeasuredRun m{.steps = 5, .step_seconds = step, .low = step, .high = step};
  m.tokens_per_second = 1024 / step;
  if (measured.total() > 0) m.parts = measured;
  r.measured = m;
  r.predicted = PredictedPoint{.step_seconds = 1.1 * step};
  return r;
}

Judgement only(const Hypothesis& h, const std::vector<ResultRow>& rows) {
  const auto all = judge(h, summarize(rows));
  REQUIRE(all.size() == 1);
  return all[0];
}

using Verdict = Judgement::Verdict;

}  // namespace

TEST_CASE("a traced step is computing, optimizer, what communication shows, and a rest") {
  const OperationGroup data{.name = "data", .ranks = 2};
  Trace trace;
  trace.add("linear_forward", OperationKind::gemm, 0, 0, 10)
      .add("all_reduce", OperationKind::collective, 0, 8, 13, &data)  // 3 ms of it are seen
      .add("adamw_update", OperationKind::streaming, 0, 14, 18)
      .add("update", OperationKind::phase, 0, 13.5, 18);
  const StepParts parts = parts_of(trace.of(1));
  CHECK(parts[StepPart::computing] == Approx(10e-3));
  CHECK(parts[StepPart::communication] == Approx(3e-3));
  CHECK(parts[StepPart::optimizer] == Approx(4e-3));
  CHECK(parts[StepPart::bubble] == 0);
  CHECK(parts[StepPart::other] == Approx(1e-3));
  CHECK(parts.total() == Approx(18e-3));
}

TEST_CASE("who comes first to a collective waits; from the last one on it is communication") {
  const OperationGroup data{.name = "data", .ranks = 2};
  Trace trace;
  trace.add("linear_forward", OperationKind::gemm, 0, 0, 8)
      .add("all_reduce", OperationKind::collective, 0, 6, 13, &data)  // 2 ms of waiting are hidden
      .add("linear_forward", OperationKind::gemm, 1, 0, 12)
      .add("all_reduce", OperationKind::collective, 1, 12, 13, &data);
  const StepParts parts = parts_of(trace.of(1));
  CHECK(parts[StepPart::waiting] == Approx(4e-3 / 2));
  CHECK(parts[StepPart::communication] == Approx(1e-3));
  CHECK(parts[StepPart::computing] == Approx(10e-3));
  CHECK(parts.total() == Approx(13e-3));
}

TEST_CASE("messages of a pipeline that take longer than the fastest are the bubble") {
  const OperationGroup pipeline{.name = "pipeline", .ranks = 2};
  Trace trace;
  trace.add("receive", OperationKind::collective, 0, 0, 1, &pipeline)
      .add("linear_forward", OperationKind::gemm, 0, 1, 5)
      .add("receive", OperationKind::collective, 0, 5, 9, &pipeline)
      .add("linear_forward", OperationKind::gemm, 0, 9, 10);
  const StepParts parts = parts_of(trace.of(1));
  CHECK(parts[StepPart::communication] == Approx(2e-3));
  CHECK(parts[StepPart::bubble] == Approx(3e-3));
  CHECK(parts[StepPart::computing] == Approx(5e-3));
}

TEST_CASE("parts are the mean over ranks, per step") {
  Trace trace;
  trace.add("linear_forward", OperationKind::gemm, 0, 0, 8)
      .add("linear_forward", OperationKind::gemm, 1, 0, 4);
  CHECK(parts_of(trace.of(2))[StepPart::computing] == Approx(3e-3));
}

// ---- summaries

TEST_CASE("repetitions become a median with an interval; of one that ran twice the last counts") {
  std::vector<ResultRow> rows{row("a", 1, 1, 2), row("b", 2, 1, 1), row("a", 1, 2, 4),
                              row("a", 1, 3, 3), row("a", 1, 1, 5)};
  rows[0].status = "failed";
  rows[0].measured.reset();
  const auto points = summarize(rows, {"b", "a"});
  REQUIRE(points.size() == 2);
  CHECK(points[0].name == "b");
  CHECK(points[1].done == 3);
  CHECK(points[1].failed == 0);
  CHECK(points[1].step->value == 4);
  CHECK(points[1].step->low == 3);
  CHECK(points[1].step->high == 5);
}

TEST_CASE("efficiency is the speed per rank against the fewest ranks of the same series") {
  const auto points = summarize({row("r1 x", 1, 1, 4, {}, "x"), row("r2 x", 2, 1, 2.5, {}, "x"),
                                 row("r2 y", 2, 1, 8, {}, "y")});
  CHECK(points[0].efficiency == Approx(1));
  CHECK(points[1].efficiency == Approx(0.8));
  CHECK(points[2].efficiency == Approx(1));
}

TEST_CASE("the bottleneck is the part that grows most against an ideal share") {
  struct Case {
    StepParts to;
    StepPart part;
  };
  const StepParts one = parts(8, 1, 0);
  const Case cases[] = {{parts(4, 1, 2), StepPart::communication},
                        {parts(4, 1, 0.1), StepPart::optimizer},
                        {parts(7, 0.5, 1), StepPart::computing},
                        {parts(4, 0.5, 0.5, 3), StepPart::bubble}};
  for (const Case& c : cases) {
    const PointWork from{1, 100, one}, to{2, 100, c.to};
    const Bottleneck b = bottleneck_of(from, to);
    INFO(in_words(b, from, to));
    CHECK(b.part == c.part);
    CHECK(b.limits());
    CHECK(b.lost.total() == Approx(c.to.total() - 4.5));
    CHECK(in_words(b, from, to).find(title_of(c.part)) != std::string::npos);
  }
  const PointWork from{1, 100, one}, twice{2, 200, one};  // weak scaling without loss
  CHECK_FALSE(bottleneck_of(from, twice).limits());
}

TEST_CASE("laws need two rank counts, the universal one three") {
  std::vector<ResultRow> rows{row("1", 1, 1, 8), row("2", 2, 1, 4.4)};
  CHECK(laws_of(series_of(summarize({rows[0]}))[0], "strong").empty());
  CHECK(laws_of(series_of(summarize(rows))[0], "strong").size() == 1);
  rows.push_back(row("4", 4, 1, 2.6));
  const auto points = summarize(rows);
  const auto laws = laws_of(series_of(points)[0], "strong");
  REQUIRE(laws.size() == 2);
  CHECK(laws[0].law == Law::amdahl);
  CHECK(laws_of(series_of(points)[0], "weak")[0].law == Law::gustafson);
}

// ---- hypotheses

TEST_CASE("an expected efficiency is judged by the most ranks") {
  const std::vector<ResultRow> rows{row("1", 1, 1, 4), row("2", 2, 1, 2.5)};
  CHECK(only({.efficiency = 0.79}, rows).verdict == Verdict::holds);
  CHECK(only({.efficiency = 0.81}, rows).verdict == Verdict::fails);
  CHECK(only({.efficiency = 0.5}, {rows[0]}).verdict == Verdict::undecided);
}

TEST_CASE("the ranks that are worth it are those that stay efficient") {
  const auto points = summarize({row("a", 1, 1, 8), row("b", 2, 1, 4.4), row("c", 4, 1, 3.2)});
  const auto series = series_of(points).at(0);
  CHECK(
      worth_in_words(series, 0.9) ==
      "measured: of these counts the most with an efficiency of at least 90 % is 2 ranks: 90.9 %, "
      "so "
      "that a job takes 1.10 times the node hours that it takes on 1, and ends 1.8 times as soon");
  CHECK(worth_in_words(series, 0.6).find("is 4 ranks: 62.5 %") != std::string::npos);
  CHECK(worth_in_words(series, 1) ==
        "measured: of these counts the most with an efficiency of at least 100 % is 1 rank: no "
        "larger "
        "one is worth it");
  CHECK(worth_in_words({series[0]}, 0.5).empty());
}

TEST_CASE("a winner must be ahead by more than the repetitions differ") {
  std::vector<ResultRow> rows{row("native", 2, 1, 2), row("mpi", 2, 1, 3)};
  CHECK(only({.winner = "native"}, rows).verdict == Verdict::holds);
  CHECK(only({.winner = "mpi"}, rows).verdict == Verdict::fails);
  CHECK(only({.winner = "gloo"}, rows).verdict == Verdict::undecided);
  rows.push_back(row("native", 2, 2, 3.5));
  CHECK(only({.winner = "native"}, rows).verdict == Verdict::undecided);
}

TEST_CASE("an expected bottleneck and an expected error of prediction are judged") {
  const std::vector<ResultRow> rows{row("1", 1, 1, 9, parts(8, 1, 0)),
                                    row("2", 2, 1, 7, parts(4, 1, 2))};
  CHECK(only({.bottleneck = "communication"}, rows).verdict == Verdict::holds);
  CHECK(only({.bottleneck = "optimizer"}, rows).verdict == Verdict::fails);
  CHECK(only({.prediction_error = 0.11}, rows).verdict == Verdict::holds);
  CHECK(only({.prediction_error = 0.05}, rows).verdict == Verdict::fails);
}
