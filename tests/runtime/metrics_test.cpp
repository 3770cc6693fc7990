// SPDX-License-Identifier: Apache-2.0
#include "runtime/metrics/metrics.hpp"

#include <csignal>
#include <limits>
#include <sstream>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;
using Json = nlohmann::json;

namespace {

std::vector<Json> lines_of(const std::string& path) {
  std::vector<Json> lines;
  std::istringstream text(test::read_text(path));
  for (std::string line; std::getline(text, line);)
    lines.push_back(Json::parse(line));
  return lines;
}

}  // namespace

TEST_CASE("a step and an evaluation are one object each, visible at once", "[unit]") {
  const test::ScratchFolder folder;
  const std::string path = folder / "metrics.jsonl";
  MetricsWriter writer(path);
  writer.write({.step = 3,
                .loss = 2.5,
                .grad_norm = 0.5,
                .learning_rate = 1e-3,
                .tokens_per_second = 2048,
                .mfu = 0.625,
                .step_seconds = 0.25,
                .predicted_seconds = std::nullopt,
                .exposed_comm_seconds = 0.125,
                .waiting_seconds = 0.0625});
  REQUIRE(lines_of(path).size() == 1);
  writer.write_evaluation(3, 1.75, 0.5);

  const auto lines = lines_of(path);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == Json{{"step", 3},
                         {"loss", 2.5},
                         {"grad_norm", 0.5},
                         {"learning_rate", 1e-3},
                         {"tokens_per_second", 2048.0},
                         {"mfu", 0.625},
                         {"step_seconds", 0.25},
                         {"predicted_seconds", nullptr},
                         {"exposed_comm_seconds", 0.125},
                         {"waiting_seconds", 0.0625}});
  CHECK(lines[1] == Json{{"step", 3}, {"validation_loss", 1.75}, {"validation_accuracy", 0.5}});
}

TEST_CASE("a loss that is not a number is still JSON", "[unit]") {
  const test::ScratchFolder folder;
  MetricsWriter(folder / "m").write({.loss = std::numeric_limits<double>::quiet_NaN()});
  CHECK(lines_of(folder / "m").at(0)["loss"].is_null());
}

TEST_CASE("a new run replaces, a resumed run appends", "[unit]") {
  const test::ScratchFolder folder;
  const std::string path = folder / "m";
  MetricsWriter(path).write_evaluation(1, 0, 0);
  MetricsWriter(path, MetricsWriter::Existing::append).write_evaluation(2, 0, 0);
  CHECK(lines_of(path).size() == 2);
  MetricsWriter(path).write_evaluation(3, 0, 0);
  CHECK(lines_of(path).size() == 1);
}

TEST_CASE("failures name the file and what to do", "[unit]") {
  const test::ScratchFolder folder;
  CHECK(test::contains(test::thrown<SystemError>([&] { MetricsWriter(folder / "no/m"); }),
                       folder / "no/m"));
  MetricsWriter full("/dev/full", MetricsWriter::Existing::append);
  CHECK(test::contains(test::thrown<SystemError>([&] { full.write_evaluation(1, 0, 0); }),
                       "/dev/full: No space left on device; free some space"));
}

TEST_CASE("a line that does not fit leaves no part of itself", "[unit]") {
  const test::ScratchFolder folder;
  const std::string path = folder / "m";
  MetricsWriter writer(path);
  writer.write_evaluation(1, 0, 0);

  // The largest file allowed is in the middle of the next line.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small{test::read_text(path).size() + 10, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string text = test::thrown<SystemError>([&] { writer.write_evaluation(2, 0, 0); });
  setrlimit(RLIMIT_FSIZE, &before);

  CHECK(test::contains(text, path));
  CHECK(lines_of(path).size() == 1);
}
