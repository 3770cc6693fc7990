// SPDX-License-Identifier: Apache-2.0
// Predicted steps of pipelines: what the replay of all stages must agree with.
#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/step_time.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

JobConfig job_of(int pipeline, int micro_batches) {
  JobConfig job = test::small_job();
  job.model.layers = 8;
  job.model.hidden = 48;
  job.parallel.pipeline = pipeline;
  job.parallel.data = 1;
  job.batch.global = micro_batches;
  job.batch.micro = 1;
  return job;
}

StepPrediction predict_on(const std::string& machine, const JobConfig& job, int ranks) {
  const Machine m = find_machine(machine);
  return predict_step(*record_step(job, ranks, m), m);
}

double sum_of(const Breakdown& b) {
  return b.gemm + b.attention + b.streaming + b.optimizer + b.data + b.launch + b.exposed +
         b.waiting.value + b.bubble;
}

struct Layout {
  const char* schedule;
  int pipeline, chunks, tensor, data, zero;
};
constexpr Layout kLayouts[] = {{"gpipe", 2, 1, 1, 1, 0},       {"1f1b", 4, 1, 1, 1, 0},
                               {"interleaved", 2, 2, 1, 1, 0}, {"zb-h1", 4, 1, 1, 1, 0},
                               {"1f1b", 2, 1, 3, 1, 0},        {"1f1b", 2, 1, 1, 2, 1}};

}  // namespace

TEST_CASE("the parts of a pipeline's step add up to it, on machines of both kinds") {
  for (const Layout& l : kLayouts) {
    for (const char* machine : {"cpu", "a100"}) {
      INFO(l.schedule << " on " << l.pipeline << " stages, " << machine);
      JobConfig job = job_of(l.pipeline, 8 * l.data);
      job.parallel.schedule = l.schedule;
      job.parallel.chunks = l.chunks;
      job.parallel.tensor = l.tensor;
      job.parallel.data = l.data;
      job.parallel.zero = l.zero;
      const StepPrediction p = predict_on(machine, job, l.pipeline * l.tensor * l.data);
      CHECK(sum_of(p.breakdown) == Approx(p.seconds).epsilon(1e-6));
      CHECK(p.breakdown.bubble > 0);
      CHECK(p.stages.size() == static_cast<std::size_t>(l.pipeline));
      CHECK(p.tokens_per_second == Approx(job.batch.global * job.model.sequence / p.seconds));
    }
  }
}

TEST_CASE("stages put together from another one's passes cost what their own recording costs") {
  const Machine machine = find_machine("a100");
  const JobConfig job = job_of(4, 8);
  const auto record = record_step(job, 4, machine);
  CHECK(record->role_of == std::vector<int>{0, 1, 1, 2});
  CHECK(record->others[0].stage == 1);  // keeps more micro-batches than stage 2
  const StepPrediction p = predict_step(*record, machine);
  CHECK(p.stages[1].computing == Approx(p.stages[2].computing));
  CHECK(p.mfu > 0);
}

TEST_CASE(
    "more micro-batches make the bubble a smaller share, zero-bubble schedules a smaller one") {
  const auto share = [](const char* schedule, int micro_batches) {
    JobConfig job = job_of(4, micro_batches);
    job.parallel.schedule = schedule;
    const StepPrediction p = predict_on("a100", job, 4);
    return p.breakdown.bubble / p.seconds;
  };
  CHECK(share("1f1b", 32) < share("1f1b", 8));
  CHECK(share("zb-h1", 8) < share("1f1b", 8));
}

TEST_CASE("full recomputation costs a forward pass more, counted as such, and saves memory") {
  JobConfig job = job_of(2, 4);
  const StepPrediction none = predict_on("a100", job, 2);
  job.parallel.recompute = "full";
  const StepPrediction full = predict_on("a100", job, 2);
  CHECK(none.breakdown.recompute == 0);
  CHECK(full.breakdown.recompute > 0);
  CHECK(full.seconds > none.seconds);
  CHECK(full.hfu > full.mfu);
  CHECK(full.memory.peak < none.memory.peak);
}

TEST_CASE("16 bits: 2 + 4 + 12 bytes per parameter, half of the activations") {
  JobConfig job = job_of(1, 1);
  const StepPrediction wide = predict_on("a100", job, 1);
  job.job.precision = "bfloat16";
  const StepPrediction mixed = predict_on("a100", job, 1);
  const auto bytes = [](const StepPrediction& p, MemoryUse use) {
    return static_cast<double>(p.memory.at_peak[static_cast<std::size_t>(use)]);
  };
  CHECK(bytes(mixed, MemoryUse::parameters) == Approx(bytes(wide, MemoryUse::parameters) / 2));
  CHECK(bytes(mixed, MemoryUse::gradients) == Approx(bytes(wide, MemoryUse::gradients)));
  CHECK(bytes(mixed, MemoryUse::optimizer) == Approx(bytes(wide, MemoryUse::optimizer) * 1.5));
  // Statistics stay wide, and the highest moment of a small model is another one.
  CHECK(bytes(mixed, MemoryUse::activations) ==
        Approx(bytes(wide, MemoryUse::activations) / 2).epsilon(0.1));
}
