// SPDX-License-Identifier: Apache-2.0
// Calibrating the emulated GPU, and predicting steps from what was found: every operation of a step
// there has a price that was measured. No time is looked at.
#include "perfmodels/calibrate/calibrate.hpp"

#include <cmath>

#include "perfmodels/machine/profile.hpp"
#include "perfmodels/operation_time.hpp"
#include "perfmodels/record_step.hpp"
#include "perfmodels/step_time.hpp"
#include "runtime/device/cuda_device.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;

namespace {

constexpr double kFewBytes = 256;  // of which no kernel takes longer than of the fewest measured

// One set of tensors, and sizes between which those of job_of() lie.
Extent tiny() {
  Extent e = quick_extent();
  e.seconds = 1;  // exceeded: every first visit is made, as short as can be
  e.rounds = 1;
  e.in_turn = {.cached_bytes = 0, .memory_bytes = 0, .most_sets = 1, .shortest = 0};
  e.products = {16, 64};
  e.most_flops = 1e6;
  e.least_elements = 16;
  e.most_elements = 1 << 14;
  e.attention_tokens = {16};
  e.attention_channels = {16};
  e.bandwidth_elements = 1 << 12;
  e.most_message = 4096;
  e.message_steps = 1;
  e.skew_width = 16;
  e.skew_slices = 4;
  e.most_vector = 1 << 15;
  return e;
}

struct Job {
  const char* model;
  const char* precision;
  const char* attention;
  const char* determinism;
  double dropout;
};
constexpr Job kJobs[] = {
    {"gpt", "bfloat16", "auto", "run", 0},     // cuDNN forward
    {"gpt", "bfloat16", "auto", "fast", 0},    // and backward
    {"gpt", "bfloat16", "own", "run", 0.1},    //
    {"llama", "bfloat16", "auto", "fast", 0},  //
    {"gpt", "float32", "auto", "run", 0},      // products in TF32
};

JobConfig job_of(const Job& of) {
  JobConfig job;
  job.job.device = "cuda";
  job.job.precision = of.precision;
  job.job.attention = of.attention;
  job.job.determinism = of.determinism;
  if (job.job.precision == "float32") job.job.matmul = "tf32";
  job.model.kind = of.model;
  job.model.layers = 1;
  job.model.hidden = 16;
  job.model.heads = 1;
  job.model.ffn = 32;  // of llama, which has two in one product
  job.model.sequence = 16;
  job.model.vocabulary = 64;
  job.model.dropout = of.dropout;
  job.batch.micro = 4;
  job.batch.global = 4 * test::context().size();
  return job;
}

const Calibration& found() {
  static const auto device = make_cuda_device(0);
  static const Calibration calibration =
      calibrate(test::context(), tiny(), 1, {.device = *device, .name = "emulated"});
  return calibration;
}

}  // namespace

TEST_CASE("a calibrated GPU is a profile that can be read") {
  const std::string text = to_toml(found().machine);
  const Machine machine = parse_machine(text, "calibrated");
  CHECK(to_toml(machine) == text);
  CHECK(machine.device == "cuda");
  CHECK(machine.find_compute("float32"));
  CHECK(machine.find_compute("bfloat16"));
  CHECK(test::context().broadcast(text) == text);
}

TEST_CASE("every operation of a step on a GPU has a price that was measured") {
  const Machine& machine = found().machine;
  OperationTimes prices(machine);
  for (const Job& of : kJobs) {
    const JobConfig job = job_of(of);
    const auto step = record_step(job, test::context().size(), machine);
    for (const Record& r : step->recording.records()) {
      const bool alone = r.operation.kind == OperationKind::collective && r.operation.ranks == 1;
      if (r.operation.kind == OperationKind::phase || alone) continue;
      const OperationTime& t = prices.of(r.operation);
      const double bytes = r.operation.bytes_read + r.operation.bytes_written;
      INFO(of.model << " in " << of.precision << ": " << r.operation.name << " "
                    << r.operation.detail << " " << r.operation.shape[0] << " "
                    << r.operation.shape[1] << " " << r.operation.shape[2] << " " << bytes
                    << " bytes, by " << t.by);
      CHECK((t.in_range || bytes < kFewBytes));
      CHECK((t.by == "points" || t.by == "curve"));
      CHECK(std::isfinite(t.seconds.value));
      CHECK(t.seconds.value > 0);
    }
    const StepPrediction p = predict_step(*step, machine);
    CHECK(std::isfinite(p.seconds));
    CHECK(p.seconds > 0);
  }
}
