// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/file.hpp"
#include "launch/experiment/launcher.hpp"
#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

const std::string kHead = "[experiment]\njob = \"j.toml\"\n";

std::string mistake_in(const std::string& text) {
  try {
    parse_experiment(text, "e.toml");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("axes are read in the order of the file, keys written either way") {
  const ExperimentFile e =
      parse_experiment(kHead +
                           "[axes]\nranks = [1, 4]\ncollectives.backend = [\"native\", \"mpi\"]\n"
                           "layout = [{name = \"two, deep\", ranks = 2, parallel.pipeline = 2},\n"
                           "  {name = \"t\", \"parallel.tensor\" = 2}]\n[set]\njob.steps = 7\n",
                       "dir/e.toml");
  REQUIRE(e.axes.size() == 3);
  CHECK(e.axes[0].name == "ranks");
  CHECK(e.axes[0].values[1].ranks == 4);
  CHECK(e.axes[1].name == "backend");
  REQUIRE(e.axes[1].values[0].settings.size() == 1);
  CHECK(e.axes[1].values[0].settings[0].find("collectives.backend=") == 0);
  CHECK(e.axes[1].values[0].settings[0].find("native") != std::string::npos);
  CHECK(e.axes[2].values[0].label == "two, deep");
  CHECK(e.axes[2].values[0].ranks == 2);
  CHECK(e.axes[2].values[1].settings == std::vector<std::string>{"parallel.tensor=2"});
  CHECK(e.settings == std::vector<std::string>{"job.steps=7"});
  CHECK(e.dir == "experiments/experiment");
}

TEST_CASE("mistakes name the line and the nearest key") {
  struct Case {
    std::string text, part;
  };
  const Case cases[] = {
      {kHead + "[axes]\nbatch.mcro = [1]\n",
       "e.toml:4: axes: batch.mcro is not a key of a job; did you mean batch.micro?"},
      {kHead + "[axes]\nmicro = [1]\n", "did you mean batch.micro?"},
      {kHead + "[axes]\nparalel.data = [1]\n", "did you mean [parallel]?"},
      {kHead + "[axes]\nranks = [0]\n", "ranks = 0 must be an integer of at least 1"},
      {kHead + "[axes]\nranks = 2\n", "ranks must be a list"},
      {kHead + "[axes]\nranks = []\n", "ranks must be a list"},
      {kHead + "[axes]\nranks = [2, 2]\n", "has \"2\" twice"},
      {kHead + "[axes]\nlayout = [{parallel.data = 2}]\n", "needs a name"},
      {kHead + "[axes]\nlayout = [{name = \"a\", parallel.dat = 2}]\n",
       "did you mean parallel.data?"},
      {kHead + "[set]\njob.step = 2\n[axes]\nranks = [1]\n", "did you mean job.steps?"},
      {kHead, "[axes] varies nothing"},
      {"[axes]\nranks = [1]\n", "experiment.job names no job file"},
      {kHead + "repetition = 3\n[axes]\nranks = [1]\n", "did you mean experiment.repetitions?"},
      {kHead + "launcher = \"slurm\"\n[axes]\nranks = [1]\n", "mpirun, srun, sbatch or predict"},
      {kHead + "launcher = \"predict\"\n[axes]\nranks = [1]\n", "needs experiment.machine"},
      {kHead + "name = \"a/b\"\n[axes]\nranks = [1]\n", "has no / in it"},
      {kHead + "[axes]\nranks = [1]\n[hypotheses]\n", "[hypotheses] is not a section"},
      {kHead + "[axes]\nranks = [1]\n[hypothesis]\nbottleneck = \"network\"\n",
       "must be computing"},
      {"[experiment\n", "e.toml:1: not valid TOML"},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    const std::string said = mistake_in(c.text);
    INFO(said);
    CHECK(holds(said, c.part));
    CHECK_FALSE(holds(said, "\n"));
  }
}

TEST_CASE("commands hold each word as it is; what is shown can be typed") {
  const LaunchPlan plan{"mpirun", {"--bind-to", "core"}, "/opt/my lockstep", 8};
  CHECK(command_of(plan, 2, "my job.toml") ==
        std::vector<std::string>{"mpirun", "-np", "2", "--bind-to", "core", "/opt/my lockstep",
                                 "train", "my job.toml"});
  CHECK(command_of({"srun", {}, "l", 8}, 17, "j") ==
        std::vector<std::string>{"srun", "--ntasks=17", "--nodes=3", "l", "train", "j"});
  CHECK(shell_text({"a b", "it's", "c=1", "$(d)"}) == "'a b' 'it'\\''s' c=1 '$(d)'");
}
