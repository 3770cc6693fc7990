// SPDX-License-Identifier: Apache-2.0
// Job files: values, overrides, and every message that a wrong one produces, word for word.
#include <algorithm>
#include <filesystem>

#include <sys/stat.h>

#include "runtime/config/job_config.hpp"
#include "runtime/config/keys.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"
#include "tests/support/temp_dir.hpp"

using namespace lockstep;

namespace {

std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return test::config_error([&] { parse_job(text, "job.toml", overrides); });
}

std::string set_error(const std::string& assignment) {
  return error_of("", {assignment});
}

JobConfig with(const std::vector<std::string>& overrides) {
  return parse_job("", "job.toml", overrides);
}

}  // namespace

TEST_CASE("a job file fills the members it names and leaves the defaults") {
  const JobConfig c = parse_job(R"(
[job]
name = "first"
steps = 20
[model]
dropout = 0.1
tied = false
[data]
path = ["a", "b"]
[optimizer]
clip = 2        # an integer is a number
betas = [0.8, 0]
)",
                                "job.toml");
  CHECK(c.job.name == "first");
  CHECK(c.job.steps == 20);
  CHECK(c.model.dropout == 0.1);
  CHECK_FALSE(c.model.tied);
  CHECK(c.data.path == std::vector<std::string>{"a", "b"});
  CHECK(c.optimizer.clip == 2.0);
  CHECK(c.optimizer.betas == std::array<double, 2>{0.8, 0.0});
  CHECK(c.model.hidden == JobConfig{}.model.hidden);
}

TEST_CASE("a single path needs no list") {
  CHECK(parse_job("data.path = \"a\"", "job.toml").data.path == std::vector<std::string>{"a"});
}

TEST_CASE("overrides come after the file, in order, and need no quotes") {
  const JobConfig c =
      parse_job("[job]\nsteps = 5", "job.toml",
                {"job.steps=6", "job.steps=7", "job.name=bare-word", "data.path=/a b",
                 "optimizer.betas=[0.5, 0.6]", "model.tied=false"});
  CHECK(c.job.steps == 7);
  CHECK(c.job.name == "bare-word");
  CHECK(c.data.path == std::vector<std::string>{"/a b"});
  CHECK(c.optimizer.betas == std::array<double, 2>{0.5, 0.6});
  CHECK_FALSE(c.model.tied);
}

TEST_CASE("an override of a text key takes anything as text") {
  CHECK(with({"job.name=2024"}).job.name == "2024");
  CHECK(with({"job.sample_prompt="}).job.sample_prompt.empty());
  CHECK_THROWS_AS(with({"job.name="}), ConfigError);
  CHECK(with({"job.name=\"quoted\""}).job.name == "quoted");
  CHECK(with({"job.sample_prompt=#include <a>"}).job.sample_prompt == "#include <a>");
  CHECK(with({"job.sample_prompt=1\nb = 2"}).job.sample_prompt == "1\nb = 2");
  CHECK(with({"job.sample_prompt=a=b.c"}).job.sample_prompt == "a=b.c");
  CHECK(with({"data.path=[\"a\", \"b\"]"}).data.path.size() == 2);
}

TEST_CASE("characters beyond ASCII stand in quotes and comments only") {
  const std::string outside =
      ": not valid TOML: only quotes and comments may hold characters beyond ASCII";
  for (const char* place :
       {"§ = 1", "steps = §", "steps = 1§", "steps = 1 § = 2", "[job]§", "a = \"\" §",
        "a = '''\n''''' §", "a = \"\"\"\\\"\"\"\"\"\" §", "a = \"§\n§"}) {
    INFO(place);
    const std::string text = std::string("# §\n") + place;
    const auto line = 1 + std::count(text.begin(), text.end(), '\n');
    CHECK(error_of(text) == "job.toml:" + std::to_string(line) + outside);
  }
  CHECK(error_of("a = \"\\§\"") ==
        "job.toml:1: not valid TOML: this character cannot follow a backslash");
  CHECK_NOTHROW(parse_job("\xEF\xBB\xBF# §", "job.toml"));
}

TEST_CASE("a text is what TOML says it is, whatever its characters") {
  const auto prompt = [](const std::string& written) {
    return parse_job("job.sample_prompt = " + written, "job.toml").job.sample_prompt;
  };
  for (const std::string c : {"§", "é", "あ", "\u00A0", "\u3000", "😀"}) {
    INFO(c);
    CHECK(prompt("\"" + c + "\" # " + c) == c);
    CHECK(prompt("'\\" + c + "'") == "\\" + c);
    CHECK(parse_job("[\"job\"]\n\"sample_prompt\"='" + c + "'", "job.toml").job.sample_prompt == c);
    CHECK(parse_job("job.\"sample_prompt\"=\"" + c + "\"", "job.toml").job.sample_prompt == c);
    CHECK(prompt("\"\"\"\\ \n\r\n\t" + c + "\\\n" + c + "\"\"\"\"") == c + c + "\"");
    CHECK(prompt("'''\\\n" + c + "'''") == "\\\n" + c);
  }
  CHECK_THAT(error_of("a = \"\"\"\\\n\xC1\x81\"\"\""),
             Catch::Matchers::StartsWith("job.toml:1: not valid TOML: "));
}

TEST_CASE("an override must be what the resolved file can hold") {
  CHECK(set_error("data.path=caf\xe9") ==
        "--set: what it sets is not UTF-8, which a job file must be");
  CHECK(with({"data.path=caf\xc3\xa9"}).data.path == std::vector<std::string>{"caf\xc3\xa9"});
}

TEST_CASE("unknown names are answered with the nearest known one") {
  CHECK(error_of("\n[model]\nlayer = 3") ==
        "job.toml:3: model.layer is not a key; did you mean model.layers?");
  CHECK(error_of("[optimizer]\nlearnign_rate = 3") ==
        "job.toml:2: optimizer.learnign_rate is not a key; did you mean optimizer.learning_rate?");
  CHECK(error_of("[model]\nglobal = 3") ==
        "job.toml:2: model.global is not a key; did you mean batch.global?");
  CHECK(error_of("[batch]\nkind = 3") ==
        "job.toml:2: batch.kind is not a key; did you mean model.kind?");
  CHECK(error_of("[batch]\nzzz = 3") ==
        "job.toml:2: batch.zzz is not a key; [batch] has global, micro");
  CHECK(error_of("[modle]\nlayers = 3") ==
        "job.toml:1: [modle] is not a section; did you mean [model]?");
  CHECK(error_of("[zzz]") ==
        "job.toml:1: [zzz] is not a section; the sections are job, model, data, batch, optimizer, "
        "parallel, collectives, checkpoint, failures, faults, slurm");
  CHECK(error_of("steps = 3") ==
        "job.toml:1: steps stands outside any section; did you mean job.steps?");
  CHECK(error_of("model = 3") == "job.toml:1: model is a section: write [model]");
  CHECK(set_error("model.layer=3") ==
        "--set model.layer=3: model.layer is not a key; did you mean model.layers?");
  CHECK(set_error("modle.layers=3") ==
        "--set modle.layers=3: [modle] is not a section; did you mean [model]?");
}

TEST_CASE("values of a wrong type say what is wanted") {
  CHECK(error_of("[job]\nsteps = \"ten\"") ==
        "job.toml:2: job.steps = \"ten\": must be an integer");
  CHECK(error_of("[job]\nsteps = 1.5") == "job.toml:2: job.steps = 1.5: must be an integer");
  CHECK(error_of("[job]\nname = 3") == "job.toml:2: job.name = 3: must be a text in quotes");
  CHECK(error_of("[job]\nthreads = 5000000000") ==
        "job.toml:2: job.threads = 5000000000: must be an integer of 32 bits");
  CHECK(error_of("[model]\ntied = 1") == "job.toml:2: model.tied = 1: must be true or false");
  CHECK(error_of("[data]\npath = [1, 2]") ==
        "job.toml:2: data.path = [1, 2]: must be a list of texts in quotes");
  CHECK(error_of("[optimizer]\nbetas = [0.9]") ==
        "job.toml:2: optimizer.betas = [0.9]: must be a list of two numbers");
  CHECK(error_of("[model.layers]\nx = 1") ==
        "job.toml:1: model.layers = {...}: must be an integer");
  CHECK(set_error("job.steps=many") ==
        "--set job.steps=many: job.steps = \"many\": must be an integer");
  CHECK(set_error("steps=3") == "--set steps=3: must be section.key=value");
  CHECK(set_error("job.steps") == "--set job.steps: must be section.key=value");
}

TEST_CASE("values out of range say the range") {
  CHECK(error_of("[job]\nsteps = 0") == "job.toml:2: job.steps = 0: must be at least 1");
  CHECK(error_of("[model]\ndropout = 1.0") ==
        "job.toml:2: model.dropout = 1.0: must be at least 0 and below 1");
  CHECK(error_of("[optimizer]\nlearning_rate = 0.0") ==
        "job.toml:2: optimizer.learning_rate = 0.0: must be above 0");
  CHECK(error_of("[optimizer]\nlearning_rate = inf") ==
        "job.toml:2: optimizer.learning_rate = inf: must be above 0");
  CHECK(error_of("[optimizer]\nclip = nan") ==
        "job.toml:2: optimizer.clip = nan: must be at least 0");
  CHECK(error_of("[optimizer]\nbetas = [0.9, 1.0]") ==
        "job.toml:2: optimizer.betas = [0.9, 1.0]: must be at least 0 and below 1");
  CHECK(error_of("[job]\ndevice = \"gpu\"") ==
        "job.toml:2: job.device = \"gpu\": must be auto, cpu, cuda or dry");
}

TEST_CASE("keys that do not fit each other are named together") {
  CHECK(set_error("model.heads=3") ==
        "job.toml: model.hidden = 256 is not a multiple of model.heads = 3");
  CHECK(set_error("parallel.pipeline=5") ==
        "job.toml: parallel.pipeline = 5 is above model.layers = 4; use at most 4 stages");
  CHECK(set_error("batch.micro=3") ==
        "job.toml: batch.global = 8 is not a multiple of batch.micro = 3");
  CHECK(set_error("parallel.data=3") ==
        "job.toml: batch.global = 8 is not a multiple of parallel.data = 3");
  CHECK(error_of("", {"parallel.zero=2", "collectives.compression=int8"}) ==
        "job.toml: parallel.zero = 2 does not compress gradients, but collectives.compression = "
        "\"int8\": use \"none\", or parallel.zero = 0");
  CHECK(set_error("parallel.zero=4") ==
        "--set parallel.zero=4: parallel.zero = 4: must be at least 0 and at most 3");
  CHECK(set_error("optimizer.warmup_steps=101") ==
        "job.toml: optimizer.warmup_steps = 101 is above job.steps = 100");
  CHECK(set_error("data.validation_path=a") ==
        "job.toml: data.validation_path needs data.kind = \"tokens\"; bytes keep "
        "data.validation_share");
  CHECK(error_of("", {"data.validation_share=0", "job.evaluate_every=5"}) ==
        "job.toml: job.evaluate_every = 5 has nothing to evaluate on: data.validation_share is 0");
  CHECK(set_error("job.target_loss=2") ==
        "job.toml: job.target_loss is judged by evaluations, but job.evaluate_every is 0 (only at "
        "the end)");
  CHECK(set_error("job.target_accuracy=0.5") ==
        "job.toml: job.target_accuracy is judged by evaluations, but job.evaluate_every is 0 (only "
        "at the end)");
  CHECK(error_of("", {"job.target_accuracy=0.5", "job.target_loss=2"}) ==
        "job.toml: job.target_loss and job.target_accuracy are two targets: a run has one");
  CHECK(set_error("job.target_accuracy=55") ==
        "--set job.target_accuracy=55: job.target_accuracy = 55: must be at least 0 and below 1");
  CHECK(error_of("", {"data.kind=tokens", "job.sample_length=5"}) ==
        "job.toml: job.sample_length writes bytes as text; data.kind = \"tokens\" has no text: "
        "use 0");
  CHECK_NOTHROW(with({"model.kind=mlp", "model.heads=3"}));  // an MLP has no heads
  CHECK(set_error("job.name=") ==
        "job.toml: job.name is empty, but directories and jobs of a cluster are called so");
  CHECK(set_error("parallel.chunks=5") ==
        "job.toml: parallel.chunks = 5 is above model.layers = 4");
}

TEST_CASE("sizes beyond all reason are refused before anything is made of them") {
  for (const char* key :
       {"job.steps", "job.evaluate_batches", "model.layers", "model.hidden", "model.ffn",
        "model.sequence", "model.vocabulary", "model.context", "batch.global"}) {
    const std::string huge = "9223372036854775807";
    CHECK_THAT(
        set_error(std::string(key) + "=" + huge),
        Catch::Matchers::StartsWith("job.toml: " + std::string(key) + " = " + huge + " is above "));
  }
  CHECK(set_error("job.threads=100000") ==
        "job.toml: job.threads = 100000 is above 1024, the most that this version takes");
  CHECK_THAT(error_of("", {"batch.global=16777216", "model.sequence=16777216"}),
             Catch::Matchers::StartsWith("job.toml: batch.global = 16777216 sequences of "));
}

TEST_CASE("what differs between two jobs is what --set takes") {
  const std::vector<std::string> sets = {"job.name=\"a b\"", "job.steps=7", "data.path=[\"x\"]",
                                         "optimizer.betas=[0.5, 0.25]", "parallel.tensor=2"};
  CHECK(settings_between(with({}), with(sets)) == sets);
  CHECK(settings_between(with(sets), with(sets)).empty());
}

TEST_CASE("blanks around the parts of --set do not count") {
  CHECK(with({" job.steps = 3"}).job.steps == 3);
  CHECK(with({"job.name = a b "}).job.name == "a b");
}

TEST_CASE("files that are missing, unreadable or not TOML") {
  const test::TempDir dir;
  const auto load_error = [](const std::string& path) {
    return test::config_error([&] { load_job(path); });
  };
  CHECK(load_error(dir.path("none.toml")) ==
        dir.path("none.toml") + ": cannot be read (No such file or directory)");
  CHECK(load_error(dir.path()) == dir.path() + ": is not a regular file");
  REQUIRE(mkfifo(dir.path("pipe").c_str(), 0600) == 0);  // nobody writes into it
  CHECK(load_error(dir.path("pipe")) == dir.path("pipe") + ": is not a regular file");
  const std::string broken = dir.write("broken.toml", "[job]\nsteps = \n");
  CHECK_THAT(load_error(broken), Catch::Matchers::StartsWith(broken + ":2: not valid TOML: "));
  CHECK(load_error(broken).find('\n') == std::string::npos);
  CHECK_NOTHROW(load_job(dir.write("empty.toml", "")));
  CHECK(load_job(dir.write("job.toml", "job.steps = 3")).job.steps == 3);
}
