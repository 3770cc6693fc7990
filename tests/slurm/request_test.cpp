// SPDX-License-Identifier: Apache-2.0
// What is asked of Slurm, before Slurm is asked: quoting, forms of values, what a cluster has.
#include "slurm/request.hpp"

#include <array>
#include <cstdio>

#include "slurm/cluster.hpp"
#include "slurm/command.hpp"
#include "slurm/shell.hpp"
#include "slurm/submission.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"

using namespace lockstep;
using namespace lockstep::slurm;

namespace {

const char* const kNasty[] = {
    "plain",         "",        "two words", "it's", "$(touch x) `id` $HOME",
    "a\"b\\c\\\\d#", "*?[a-z]", "-n",        "~",    "; rm -rf / &",
    "!! {a,b} <(x)", "é\xff",   "%j 100%",   "'"};

JobConfig with(const std::string& assignment) {
  return parse_job("", "job", {assignment});
}

}  // namespace

TEST_CASE("bash reads a quoted word as it was", "[unit]") {
  for (const std::string text : kNasty) {
    INFO(text);
    const auto said = run_command({"bash", "-c", "printf '<%s>' " + shell_word(text)});
    CHECK(said.out == "<" + text + ">");
    CHECK(said.error.empty());
  }
}

TEST_CASE("what cannot be one line is refused", "[unit]") {
  for (const std::string text : {"a\nb", "a\rb", "\x01", "\x7f", "tab\t"}) {
    CHECK(test::config_error([&] {
            expect_one_line("job.name", text);
          }).find("job.name holds a ") == 0);
  }
  for (const std::string key : {"job.name", "slurm.partition", "slurm.lines", "slurm.container"}) {
    INFO(key);
    const std::string value = key == "slurm.lines" ? "[\"a\\nb\"]" : "\"a\\nb\"";
    CHECK(test::config_error([&] { check_request(with(key + "=" + value)); }).find(key) == 0);
  }
}

TEST_CASE("times are Slurm's", "[unit]") {
  const std::pair<const char*, std::int64_t> times[] = {
      {"90", 5400},     {"90:30", 5430},     {"1:30:00", 5400},     {"2-0", 172800},
      {"1-12", 129600}, {"1-12:30", 131400}, {"1-12:30:05", 131405}};
  for (const auto& [text, seconds] : times) {
    INFO(text);
    REQUIRE(seconds_of(text));
    CHECK(*seconds_of(text) == seconds);
  }
  for (const char* text :
       {"", "2h", "1:2:3:4", "1-", "-1", "1.5", "1:", " 1", "1-2:3:4:5", "12:30pm", "1:99:00",
        "1:00:60", "90:60", "1-24", "1-12:60", "1-12:30:60"}) {
    INFO(text);
    CHECK_FALSE(seconds_of(text));
  }
}

TEST_CASE("a value that Slurm could not take is named with its key", "[unit]") {
  const std::pair<const char*, const char*> wrong[] = {
      {"slurm.time=2h", "slurm.time = \"2h\" must be minutes"},
      {"slurm.time=1:30", "slurm.time = \"1:30\" is over before slurm.signal_seconds"},
      {"slurm.memory=64 GB", "slurm.memory"},
      {"slurm.array=a-b", "slurm.array"},
      {"slurm.array_key=job.seed", "slurm.array_key = \"job.seed\" needs slurm.array"},
      {"slurm.dependency=after 3", "slurm.dependency"},
      {"slurm.mpi=pmix;id", "slurm.mpi"},
      {"slurm.environment=[\"A B=c\"]", "slurm.environment holds \"A B=c\""},
      {"slurm.options=[\"-p x\"]", "slurm.options holds"}};
  for (const auto& [assignment, message] : wrong) {
    INFO(assignment);
    CHECK(test::config_error([&, a = assignment] { check_request(with(a)); }).find(message) == 0);
  }
  for (const char* right : {"slurm.time=1-0", "slurm.memory=64G", "slurm.array=1,4-9:2%2",
                            "slurm.dependency=afterok:12:13,afterany:4", "slurm.mpi=pmix_v4",
                            "slurm.environment=[\"A=b c\"]"}) {
    check_request(with(right));
  }
}

TEST_CASE("a cluster is read from sinfo, and asked no more than it has", "[unit]") {
  const auto cluster = parse_partitions(
      "cpu*|10|64|1-00:00:00|(null)\ngpu|2|96+|infinite|gpu:a100:8(S:0-1),nic:2\n"
      "gpu|1|128|infinite|gpu:4\nempty|0|0|n/a|n/a\n");
  REQUIRE(cluster.size() == 3);
  CHECK(cluster[0].preset);
  CHECK(cluster[1].nodes == 3);
  CHECK(cluster[1].gpus_per_node == 8);
  CHECK(cluster[1].cpus_per_node == 128);

  const auto error = [&](std::vector<std::string> overrides) {
    return test::config_error(
        [&] { check_cluster(parse_job("", "job", overrides).slurm, cluster); });
  };
  CHECK(error({"slurm.partition=fast"}) ==
        "slurm.partition = \"fast\" is not one of this cluster's: cpu, gpu, empty");
  CHECK(error({"slurm.partition=gpu", "slurm.gpus_per_rank=1", "slurm.ranks_per_node=9"}) ==
        "slurm.gpus_per_rank = 1 x slurm.ranks_per_node = 9 is 9 GPUs of a node, but partition gpu "
        "has "
        "8");
  CHECK(error({"slurm.gpus_per_rank=1"}).find("partition cpu has 0") != std::string::npos);
  CHECK(error({"slurm.nodes=11"}) == "slurm.nodes is 11 nodes, but partition cpu has 10");
  CHECK(error({"slurm.time=1-00:01"}) ==
        "slurm.time = \"1-00:01\" is longer than partition cpu allows, 1-00:00:00");
  check_cluster(parse_job("", "job", {"slurm.time=1440"}).slurm, cluster);
  check_cluster(parse_job("", "job", {"slurm.time=9-0", "slurm.partition=gpu"}).slurm, cluster);
  CHECK(error({"slurm.cpus_per_rank=65"}).find("65 cores of a node") != std::string::npos);
  check_cluster(parse_job("", "job", {"slurm.nodes=10"}).slurm, cluster);
  check_cluster(parse_job("", "job", {"slurm.partition=cpu,gpu"}).slurm, cluster);
}

TEST_CASE("a command gives its streams and status, and is not waited for for ever", "[unit]") {
  const auto both = run_command({"bash", "-c", "echo out; echo sbatch: error: bad >&2; exit 3"});
  CHECK(both.out == "out\n");
  CHECK(one_line(both.error) == "bad");
  CHECK(both.status == 3);
  CHECK(run_command({"bash", "-c", "kill -9 $$"}).status == 137);
  CHECK_THROWS_AS(run_command({"sleep", "60"}, 0.1), SystemError);
  CHECK_THROWS_AS(run_command({"no-such-program-here"}), SystemError);
}

TEST_CASE("submitted jobs are read back, a torn line is not one", "[unit]") {
  CHECK(submitted_ids(
            "{\"job_id\":\"7\",\"seconds\":1}\n{\"job_id\":\"9\",\"after\":\"7\"}\n{\"job") ==
        std::vector<std::string>{"7", "9"});
}
