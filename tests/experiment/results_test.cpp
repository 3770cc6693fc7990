// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/results.hpp"

#include <fstream>
#include <set>

#include "launch/experiment/folder.hpp"
#include "launch/experiment/parts.hpp"
#include "launch/mllog.hpp"
#include "launch/report/charts.hpp"
#include "launch/report/numbers.hpp"
#include "launch/report/page.hpp"
#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace lockstep;

namespace {

ResultRow example() {
  ResultRow row{.version = "1.2.3", .point = "a=\"x, y\"", .series = "s", .fingerprint = "f"};
  row.values = {{"layout", "x, y"}, {"ranks", "2"}};
  row.repetition = 2;
  row.ranks = 2;
  row.status = "done";
  row.last_lines = {"one", "two \xff"};
  MeasuredRun m{.steps = 3, .step_seconds = 0.1, .low = 0.09, .high = 0.2};
  m.parts = StepParts{{1, 2, 3, 4, 5, 6}};
  row.measured = m;
  row.predicted = PredictedPoint{.step_seconds = 0.11, .in_range = true};
  row.job.model.layers = 7;
  row.job.optimizer.betas = {0.5, 0.75};
  row.job.data.path = {"p", "q"};
  return row;
}

std::string mistake_in(const std::string& path) {
  try {
    load_results(path);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a row comes back as it was written, its configuration included") {
  const test::TempDir folder;
  const ResultRow row = example();
  const std::string path = folder.write("r.jsonl", json_of(row) + "\n" + json_of(row) + "\n");
  const auto rows = load_results(path);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].point == row.point);
  CHECK(rows[0].values == row.values);
  CHECK(rows[0].measured->parts->seconds == row.measured->parts->seconds);
  CHECK(rows[0].measured->high == row.measured->high);
  CHECK(rows[0].predicted->in_range);
  CHECK(to_toml(rows[0].job) == to_toml(row.job));
  CHECK(load_results(folder.path("none.jsonl")).empty());
}

TEST_CASE("a line that a dying process left unfinished is ignored") {
  const test::TempDir folder;
  const std::string text = json_of(example()) + "\n";
  CHECK(load_results(folder.write("r", text + text.substr(0, 40))).size() == 1);
}

TEST_CASE("results of another version are one clear line") {
  const test::TempDir folder;
  std::string old = json_of(example());
  old.replace(old.find("\"format\":2"), 10, "\"format\":0");
  const std::string said = mistake_in(folder.write("r", old + "\n"));
  INFO(said);
  for (const char* part : {"r:1", "lockstep 1.2.3", "format 0", "another directory"})
    CHECK(said.find(part) != std::string::npos);
  CHECK(said.find('\n') == std::string::npos);
  CHECK(mistake_in(folder.write("r", "{\"loss\": 1}\n")).find("no row of results") !=
        std::string::npos);
  CHECK(mistake_in(folder.write("r", "text\n")).find("no row of results") != std::string::npos);

  folder.write("e/experiment.toml", "");
  folder.write("e/results.jsonl", json_of(example()) + "\n");
  CHECK_THROWS_WITH(ExperimentFolder(folder.path("e"), ""),
                    ContainsSubstring("has results of lockstep 1.2.3"));
}

TEST_CASE("a directory is taken up by one process, and never one of somebody else") {
  const test::TempDir folder;
  const ExperimentFolder first(folder.path("e"), "text");
  CHECK_THROWS_WITH(ExperimentFolder(folder.path("e"), "text"),
                    ContainsSubstring("another lockstep experiment is at work"));
  folder.write("other/file", "");
  CHECK_THROWS_WITH(ExperimentFolder(folder.path("other"), "text"),
                    ContainsSubstring("holds something else"));
}

TEST_CASE("the CSV has a column for every number and quotes what it must") {
  ResultRow failed = example();
  failed.status = "failed";
  failed.measured.reset();
  const std::string csv = csv_of({example(), failed});
  CHECK(csv.find("measured.breakdown.communication") != std::string::npos);
  CHECK(csv.find("config.model.layers") != std::string::npos);
  CHECK(csv.find("\"a=\"\"x, y\"\"\"") != std::string::npos);
  CHECK(csv.find(",measured,") == std::string::npos);
}

// ---- pages

TEST_CASE("a page escapes text, and several figures do not share ids") {
  Page page("a <b> & \"c\"");
  page.table({"x"}, {{"<td>"}});
  page.figure("<?xml?><svg><g id=\"p\"/><use xlink:href='#p'/></svg>", "one", "none");
  page.figure("", "two", "no plot: <why>");
  const std::string html = page.html();
  for (const char* part : {"<title>a &lt;b&gt; &amp; &quot;c&quot;</title>", "&lt;td&gt;",
                           "id=\"f1p\"", "href='#f1p'", "no plot: &lt;why&gt;"})
    CHECK(html.find(part) != std::string::npos);
  CHECK(html.find("<?xml") == std::string::npos);
}

TEST_CASE("numbers are shown with four digits and thousands set apart") {
  CHECK(number_text(1234567) == "1,235,000");
  CHECK(number_text(12345) == "12,350");
  CHECK(number_text(123.456) == "123.5");
  CHECK(number_text(0.0123456) == "0.01235");
  CHECK(number_text(-1234.6) == "-1,235");
  CHECK(number_text(0) == "0");
  CHECK(interval_text({0.01, 0.009, 0.012}, 1e3) == "10.00 (9.000 to 12.00)");
}

TEST_CASE("charts quote labels and begin at zero unless values differ widely") {
  CurveChart chart{.title = "t \"q\"", .x_label = "ranks", .y_label = "ms", .ranks_axis = true};
  chart.curves.push_back({"m", Curve2d::Look::measured, 0, {{1, 10, 9, 11}, {2, 6, 6, 6}}});
  const std::string script = script_of(chart, "o.svg");
  CHECK(script.find("\"t \\\"q\\\"\"") != std::string::npos);
  CHECK(script.find("set yrange [0:") != std::string::npos);
  CHECK(script.find("yerrorbars") != std::string::npos);
  chart.curves[0].points.push_back({64, 0.1, 0, 0});
  const std::string wide = script_of(chart, "o.svg");
  CHECK(wide.find("set logscale y") != std::string::npos);
  CHECK(wide.find("set ytics (0.1, 0.2, 0.5, 1, 2, 5, 10)") != std::string::npos);
}

TEST_CASE("an interval without bounds leaves a chart to its points") {
  CurveChart chart{.title = "t", .x_label = "ranks", .y_label = "ms"};
  chart.curves.push_back({"m", Curve2d::Look::measured, 0, {{1, 10, 9, 1e9}, {2, 6, 5, 7}}});
  CHECK(script_of(chart, "o.svg").find("set yrange [0:33.6]") != std::string::npos);
}

TEST_CASE("no two parts of a step have one colour") {
  StackChart chart{"t", "ms", std::vector<std::string>(kNumParts, "part"), {"a"}, {}};
  chart.stacks.push_back({"", 0, std::vector<double>(kNumParts, 1.0)});
  const std::string script = script_of(chart, "o.svg");
  const std::string box = "fs solid 1 lc rgb '";
  std::set<std::string> colors;
  for (std::size_t at = script.find(box); at < script.size(); at = script.find(box, at + 1))
    colors.insert(script.substr(at + box.size(), 7));
  CHECK(colors.size() == kNumParts);
}

// ---- MLPerf

TEST_CASE("a line of MLPerf's log is the mark and one JSON object") {
  const std::string line = mllog_line("POINT_IN_TIME", "eval_accuracy", "2.5",
                                      "{\"samples_count\": 8}", 1700000000123.0, {"f.cpp", 9});
  CHECK(line ==
        ":::MLLOG {\"namespace\":\"\",\"time_ms\":1700000000123,\"event_type\":\"POINT_IN_TIME\","
        "\"key\":\"eval_accuracy\",\"value\":2.5,\"metadata\":{\"samples_count\":8,\"file\":\"f."
        "cpp\","
        "\"lineno\":9}}\n");
}
