// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/software.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/record_step.hpp"
#include "perfmodels/step_time.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"

using namespace lockstep;

namespace {

JobConfig small_gpt(const std::string& software) {
  JobConfig job;
  job.job.software = software;
  job.job.precision = "bfloat16";
  job.model.layers = 8;
  job.model.hidden = 512;
  job.model.heads = 8;
  job.model.sequence = 256;
  job.model.vocabulary = 8000;
  job.model.dropout = 0.1;
  job.batch = {.global = 16, .micro = 2};
  return job;
}

double activations(const StepRecord& record) {
  const auto of = [&](MemoryUse use) {
    return static_cast<double>(record.memory.at_peak[static_cast<std::size_t>(use)]);
  };
  return of(MemoryUse::activations) + of(MemoryUse::buffers);
}

}  // namespace

TEST_CASE("what software lacks is refused by its name") {
  struct Case {
    const char* software;
    Layout layout;
    const char* says;
  };
  const MeshDegrees pipeline{1, 1, 4}, two{1, 1, 2};
  const Case cases[] = {
      {"megatron-2021", {.zero = 1}, "parallel.zero"},
      {"megatron-2022", {.zero = 3}, "parallel.zero"},
      {"megatron-2021", {.sequence_parallel = true}, "sequence_parallel"},
      {"megatron-2021", {.recompute = "selective"}, "none or full"},
      {"megatron-2022", {.degrees = pipeline, .schedule = "zb-h1"}, "1f1b or interleaved"},
      {"megatron-2022", {.degrees = pipeline, .schedule = "gpipe"}, "1f1b or interleaved"},
      {"megatron-2021", {.degrees = two, .chunks = 2, .schedule = "interleaved"}, "2 stages"},
      {"megatron-2021", {.degrees = pipeline, .chunks = 3, .schedule = "interleaved"}, "as many"},
  };
  for (const Case& c : cases) {
    INFO(c.software << " " << text_of(c.layout));
    const std::string why = refusal(find_software(c.software), c.layout, 8);
    CHECK(why.find(c.software) == 0);
    CHECK(why.find(c.says) != std::string::npos);
    CHECK(refusal(find_software("lockstep"), c.layout, 8).empty());
  }
  const Layout korthikanti{.recompute = "selective", .sequence_parallel = true};
  CHECK(refusal(find_software("megatron-2022"), korthikanti, 8).empty());
  CHECK(refusal(find_software("megatron-2021"),
                {.degrees = pipeline, .chunks = 2, .schedule = "interleaved", .recompute = "full"},
                8)
            .empty());
}

TEST_CASE("a prediction of what the software cannot run is an error") {
  JobConfig job = small_gpt("megatron-2021");
  job.parallel.sequence_parallel = true;
  job.parallel.tensor = 2;
  CHECK(test::config_error([&] { record_step(job, 2, find_machine("a100")); }) ==
        "job.software: megatron-2021 has no parallel.sequence_parallel");
}

TEST_CASE("scores and masks that other software keeps are in its memory") {
  // B T H D = 2 256 8 64; 5 bytes a score, 1 byte for each of two masks of B T C. Ours keeps the
  // statistics of softmax and norms in 4 bytes; of theirs everything is taken to have 2.
  const double scores = 2.0 * 8 * 256 * 256, rows = 2.0 * 256 * 512;
  const double of_softmax = 2.0 * 8 * 256, of_norms = 2 * 2 * 2.0 * 256;
  struct Case {
    const char* recompute;
    double kept;  // of each block
  };
  const Case cases[] = {{"none", 5 * scores + 2 * rows - 2 * (of_softmax + of_norms)},
                        {"selective", 2 * rows + 2 * rows - 2 * of_norms},
                        {"full", 0}};
  const auto of_blocks = [](JobConfig job) {  // what eight blocks keep more than four
    const double more = activations(*record_step(job, 1));
    job.model.layers = 4;
    return more - activations(*record_step(job, 1));
  };
  for (const Case& c : cases) {
    INFO(c.recompute);
    JobConfig ours = small_gpt("lockstep"), theirs = small_gpt("megatron-2022");
    ours.parallel.recompute = theirs.parallel.recompute = c.recompute;
    CHECK(of_blocks(theirs) - of_blocks(ours) == Approx(4 * c.kept).epsilon(1e-6).margin(1));
  }
}

TEST_CASE("stages of other software have as many blocks, and nothing hides their sums") {
  JobConfig job = small_gpt("megatron-2021");
  job.parallel = {.data = 2, .pipeline = 4, .bucket_mb = 0.1};
  const auto record = record_step(job, 8);
  const auto& blocks = record->role(record->role_of[1]);
  for (const int stage : {1, 2})
    CHECK(record->role_of[static_cast<std::size_t>(stage)] == record->role_of[1]);
  CHECK(blocks.parameters % 2 == 0);
  int sums = 0;
  for (const Record& r : record->recording.records()) {
    const bool of_data = r.operation.group && r.operation.group->name == "data";
    sums += of_data && r.operation.shape[0] > 1000;
  }
  CHECK(sums <= 2);  // the table, which the last stage sums too, apart
}

TEST_CASE("between its stages nothing is computed while messages are under way") {
  const Machine machine = find_machine("a100");
  JobConfig job = small_gpt("megatron-2022");
  job.parallel = {.tensor = 2, .pipeline = 4, .chunks = 2, .schedule = "interleaved"};
  const StepPrediction step = predict_step(*record_step(job, 8, machine), machine);
  std::vector<std::vector<GanttSpan>> passes(4), messages(4);
  for (const GanttSpan& span : step.passes)
    (is_compute(span.kind) ? passes : messages)[static_cast<std::size_t>(span.stage)].push_back(
        span);
  for (std::size_t s = 0; s < passes.size(); ++s) {
    CHECK_FALSE(messages[s].empty());
    for (const GanttSpan& pass : passes[s]) {
      for (const GanttSpan& m : messages[s]) {
        const double both = std::min(pass.end, m.end) - std::max(pass.begin, m.begin);
        CHECK(both <= 1e-12);
      }
    }
  }
}
