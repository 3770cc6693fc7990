// SPDX-License-Identifier: Apache-2.0
// Calibrating the emulated GPU, and predicting steps from what was found: every operation of a step
// there has a price that was measured. No time is looked at.
#include "perfmodels/calibrate/calibrate.hpp"

#include <cmath>
#include <cstdlib>
#include <set>

#include "perfmodels/guesses.hpp"
#include "perfmodels/machine/profile.hpp"
#include "perfmodels/operation_time.hpp"
#include "perfmodels/record_step.hpp"
#include "perfmodels/step_time.hpp"
#include "runtime/device/cuda_device.hpp"
#include "tests/perfmodels/patient_calibration.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;

namespace {

constexpr double kFewBytes = 4096;  // of which no kernel takes longer than of the fewest measured

// One set of tensors, and sizes between which those of job_of() lie.
Extent tiny() {
  Extent e = quick_extent();
  e.seconds = 60;  // not used up (else: more): one round, and first visits are short
  e.rounds = 1;
  e.in_turn = {.cached_bytes = 0, .memory_bytes = 0, .most_sets = 1, .shortest = 0};
  e.products = {16, 128};
  e.most_flops = 1.1e6;
  e.least_elements = 256;
  e.most_elements = 1 << 14;
  e.attention_tokens = {16};
  e.attention_channels = {16};
  e.bandwidth_elements = 1 << 12;
  e.most_message = 4096;
  e.message_steps = 1;
  e.busy_width = 16;
  e.overlapped_elements = 1 << 12;
  e.overlapping_seconds = 0;
  e.skew_slices = 4;
  e.collectives = {Collective::all_reduce, Collective::reduce_scatter, Collective::all_gather};
  e.most_vector = 1 << 18;
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
  job.model.hidden = 32;
  job.model.ffn = 64;  // of llama
  job.model.heads = 2;
  job.model.sequence = 16;
  job.model.vocabulary = 64;
  job.model.dropout = of.dropout;
  job.batch.micro = 2;
  job.batch.global = 2 * test::context().size();
  return job;
}

// Every rank has a GPU of its own, and there is an NCCL.
bool has_nccl() {
  const char* const gpus = std::getenv("LOCKSTEP_EMULATED_GPUS");
  return gpus && gpus == std::string("each");
}

const Calibration& found() {
  static const Calibration calibration = [] {
    const auto device = make_cuda_device(0);  // which keeps groups: it ends before MPI
    return test::calibrate_patiently(tiny(), 3, [&](const Extent& extent) {
      return calibrate(test::context(), extent, 1, {.device = *device, .name = "emulated"});
    });
  }();
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

TEST_CASE("between GPUs there are messages, and who serves jobs") {
  const Machine& machine = found().machine;
  if (test::context().size() == 1) {
    CHECK(machine.links.empty());
    CHECK(machine.collectives.empty());
    return;
  }
  REQUIRE(machine.find_link("inside"));
  CHECK(machine.find_link("inside")->messages.points().size() >= 5);
  CHECK(machine.shared.gamma.value > 0);
  CHECK_FALSE(machine.shared.sync.known());
  std::set<std::string> labels;
  for (const CollectiveCurve& curve : machine.collectives) {
    CHECK(curve.memory == "plain");
    labels.insert(curve.label);
  }
  CHECK(labels.count("mpi") == 1);
  CHECK(labels.count("nccl") == (has_nccl() ? 1 : 0));
  CHECK(labels.count("native/ring") == 1);
  CHECK(machine.overlap.compute_slowdown.value >= 1);
  CHECK(machine.overlap.communication_slowdown.value >= 1);
}

namespace {

// One stage of each role, and the step that they make.
void check_priced(const JobConfig& job) {
  const Machine& machine = found().machine;
  OperationTimes prices(machine);
  const auto step = record_step(job, test::context().size(), machine);
  for (int role = 0; role < step->num_roles(); ++role) {
    for (const Record& r : step->role(role).recording.records()) {
      const Operation& o = r.operation;
      const bool communicates = o.kind == OperationKind::collective;
      if (o.kind == OperationKind::phase || (communicates && o.ranks == 1)) continue;
      const OperationTime& t = prices.of(o);
      const double bytes = o.bytes_read + o.bytes_written;
      INFO(text_of(o) << " " << o.detail << " of " << bytes << " bytes, by " << t.by);
      // How far the curves of communication go depends on the time that there was.
      CHECK((t.in_range || communicates || bytes < kFewBytes));
      const bool message = o.name == std::string("send") || o.name == std::string("receive");
      CHECK((t.by == "points" || t.by == "curve" || (message && t.by == "formula")));
      CHECK(std::isfinite(t.seconds.value));
      CHECK(t.seconds.value > 0);
      if (communicates) CHECK(o.detail == std::string(has_nccl() ? "nccl" : "mpi"));
    }
  }
  const StepPrediction p = predict_step(*step, machine);
  CHECK(std::isfinite(p.seconds));
  CHECK(p.seconds > 0);
}

}  // namespace

TEST_CASE("every operation of a step on a GPU has a price that was measured") {
  for (const Job& of : kJobs) {
    INFO(of.model << " in " << of.precision << ", attention " << of.attention);
    check_priced(job_of(of));
  }
}

TEST_CASE("what layouts of two GPUs send has a price, too") {
  if (test::context().size() == 1) return;
  JobConfig tensor = job_of(kJobs[0]), pipeline = tensor, zero = tensor;
  tensor.parallel.tensor = pipeline.parallel.pipeline = 2;
  tensor.parallel.sequence_parallel = true;
  tensor.batch.micro = tensor.batch.global;
  pipeline.model.layers = 2;
  zero.parallel.zero = 3;
  for (const JobConfig& job : {tensor, pipeline, zero})
    check_priced(job);
}
