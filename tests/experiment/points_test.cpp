// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/points.hpp"

#include <set>

#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace lockstep;

namespace {

ExperimentFile experiment(const test::TempDir& folder, const std::string& rest) {
  folder.write("j.toml", "[model]\nlayers = 2\n[batch]\nglobal = 4\n");
  return parse_experiment("[experiment]\njob = \"j.toml\"\n" + rest, folder.path("e.toml"));
}

}  // namespace

TEST_CASE("points are all combinations, each with its job") {
  const test::TempDir folder;
  const auto points = points_of(experiment(folder,
                                           "[set]\njob.steps = 9\n[axes]\nranks = [1, "
                                           "2]\ncollectives.backend = [\"native\", \"mpi\"]\n"));
  REQUIRE(points.size() == 4);
  CHECK(points[1].name == "ranks=1 backend=mpi");
  CHECK(points[1].series == "backend=mpi");
  CHECK(points[3].ranks == 2);
  CHECK(points[3].job.collectives.backend == "mpi");
  CHECK(points[3].job.job.steps == 9);
  CHECK(points[3].job.batch.global == 4);
  CHECK(points[3].job.job.trace_steps > 0);
  std::set<std::string> prints;
  for (const ExperimentPoint& p : points)
    prints.insert(p.fingerprint);
  CHECK(prints.size() == 4);
}

TEST_CASE("weak scaling gives each rank the batch of the job; --set comes last") {
  const test::TempDir folder;
  const ExperimentFile e = experiment(folder, "study = \"weak\"\n[axes]\nranks = [1, 3]\n");
  CHECK(points_of(e)[1].job.batch.global == 12);
  CHECK(points_of(e, {"batch.global=5", "model.layers=1"})[1].job.batch.global == 15);
  CHECK(points_of(e, {"model.layers=1"})[0].fingerprint != points_of(e)[0].fingerprint);
}

TEST_CASE("ranks come from the axis, the variant, the layout, or the experiment") {
  const test::TempDir folder;
  const auto points = points_of(
      experiment(folder,
                 "ranks = 4\n[axes]\nlayout = [{name = \"a\"}, {name = \"b\", ranks = 2},\n"
                 "{name = \"c\", parallel.data = 4, parallel.tensor = 2}]\n"));
  CHECK(points[0].ranks == 4);
  CHECK(points[1].ranks == 2);
  CHECK(points[2].ranks == 8);
}

TEST_CASE("a point that the job refuses is named") {
  const test::TempDir folder;
  try {
    points_of(experiment(folder, "[axes]\nmodel.heads = [4, 3]\n"));
    FAIL("no error");
  } catch (const ConfigError& error) {
    CHECK(std::string(error.what()).find("point heads=3") != std::string::npos);
  }
  const ExperimentFile twice = experiment(folder, "[axes]\nmodel.layers = [1, 2]\n");
  CHECK_THROWS_AS(points_of(twice, {"model.layers=1"}), ConfigError);
}

TEST_CASE("each round holds every point once, in an order that the seed decides") {
  const auto order = order_of(8, 3, 1);
  REQUIRE(order.size() == 24);
  bool shuffled = false;
  for (int round = 0; round < 3; ++round) {
    std::set<std::size_t> seen;
    for (std::size_t i = 0; i < 8; ++i) {
      const PlannedRun& run = order[static_cast<std::size_t>(round) * 8 + i];
      CHECK(run.repetition == round + 1);
      seen.insert(run.point);
      shuffled = shuffled || run.point != i;
    }
    CHECK(seen.size() == 8);
  }
  CHECK(shuffled);
  const auto same = order_of(8, 3, 1), other = order_of(8, 3, 2);
  const auto points_in = [](const std::vector<PlannedRun>& runs) {
    std::vector<std::size_t> points;
    for (const PlannedRun& run : runs)
      points.push_back(run.point);
    return points;
  };
  CHECK(points_in(same) == points_in(order));
  CHECK(points_in(other) != points_in(order));
}

TEST_CASE("file names hold nothing that a shell or a path would take apart") {
  ExperimentPoint point;
  point.name = "layout=two, deep $(x)/..";
  point.fingerprint = "0123456789abcdef";
  CHECK(file_name_of(point, 2) == "layout=two__deep___x__..-012345-r2");
}
