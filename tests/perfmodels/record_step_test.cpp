// SPDX-License-Identifier: Apache-2.0
// The dry device against the real one and against the textbook's count.
#include "perfmodels/record_step.hpp"

#include <algorithm>

#include "collectives/compression/table.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"
#include "tests/support/mpi.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

// The job of launch/examples/gpt-small.toml.
JobConfig gpt_small() {
  JobConfig job;
  job.model.layers = 6;
  job.model.hidden = 384;
  job.model.heads = 6;
  job.model.vocabulary = 256;
  job.model.tied = false;
  job.batch.global = 8;
  return job;
}

}  // namespace

TEST_CASE("recorded FLOPs per token agree with 6N + 12LHQT within 2 %") {
  const JobConfig job = gpt_small();
  const auto record = record_step(job, 1);
  const auto& m = job.model;
  const double textbook = 6.0 * static_cast<double>(record->parameters) +
                          12.0 * static_cast<double>(m.layers * m.hidden * m.sequence);
  const double per_token = model_flops(record->recording) / static_cast<double>(record->tokens);
  CHECK(per_token == Approx(textbook).epsilon(0.02));
}

TEST_CASE("what a step records does not depend on who executes it") {
  JobConfig job = test::small_job();
  job.batch.micro = job.batch.global / test::context().size();
  const auto dry = record_step(job, test::context().size());

  const auto device = make_cpu_device();
  Recording real;
  const auto world = Communicator::world(test::context(), *device);
  test::train(job, world, *device, 1);
  const double peak = static_cast<double>(device->memory().peak);
  CHECK(static_cast<double>(dry->memory.peak) == Approx(peak).epsilon(0.01));

  const Mesh mesh(world, {});
  TrainingStep step(plan_model(job.model), mesh, *device, job);
  device->record_into(&real);
  step.run(
      [&] {
        const auto count = static_cast<std::size_t>(job.batch.micro * job.model.sequence);
        return HostBatch{std::vector<std::int32_t>(count, 1), std::vector<std::int32_t>(count, 2),
                         job.batch.micro, job.model.sequence, 0};
      },
      1e-3, false);
  device->record_into(nullptr);

  std::vector<Operation> ran, recorded;
  for (const Record& r : real.records()) {
    if (r.operation.kind != OperationKind::phase) ran.push_back(r.operation);
  }
  for (const Record& r : dry->recording.records()) {
    if (r.operation.kind != OperationKind::phase) recorded.push_back(r.operation);
  }
  // The streams run side by side: each in its own order.
  const auto by_stream = [](const Operation& op) { return op.kind != OperationKind::collective; };
  std::stable_partition(ran.begin(), ran.end(), by_stream);
  std::stable_partition(recorded.begin(), recorded.end(), by_stream);
  REQUIRE(ran.size() == recorded.size());
  // The dry device assumes a core for each rank: crowded ranks may be served by other algorithms.
  const bool alike =
      test::context().size() <= static_cast<int>(std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < ran.size(); ++i) {
    CHECK(std::string(ran[i].name) == recorded[i].name);
    // The first data rank counts the gradients that all of them have.
    const bool counts = test::context().rank() == 0 || std::string(ran[i].name) != "squared_sums";
    if (counts) CHECK(ran[i].shape == recorded[i].shape);
    if (counts) CHECK(ran[i].flops == recorded[i].flops);
    CHECK(ran[i].bytes_written == recorded[i].bytes_written);
    CHECK(ran[i].ranks == recorded[i].ranks);
    if (alike) CHECK(std::string(ran[i].detail) == recorded[i].detail);
  }
}

namespace {

int records_named(const Recording& recording, const std::string& name) {
  return static_cast<int>(std::count_if(recording.records().begin(), recording.records().end(),
                                        [&](const Record& r) { return name == r.operation.name; }));
}

}  // namespace

TEST_CASE("a recorded step says what waits for what, and in which phase") {
  const auto record = record_step(gpt_small(), 4, 2);
  const auto& records = record->recording.records();
  for (const char* phase : {"forward", "backward", "reduce", "update"})
    CHECK(records_named(record->recording, phase) == 1);

  int last_reduce = -1, waits_for = -1;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& r = records[i];
    CHECK(r.after < static_cast<int>(i));
    if (r.stream == StreamKind::communication) {
      REQUIRE(r.operation.group != nullptr);
      if (r.operation.ranks == 1) continue;  // axes of one rank
      CHECK((r.operation.group->name == "data" || r.operation.group->name == "world"));
      CHECK(r.operation.group->ranks == 4);
      CHECK(r.operation.group->nodes == 2);
      CHECK(records[static_cast<std::size_t>(r.after)].stream == StreamKind::compute);
      if (waits_for < 0) last_reduce = static_cast<int>(i);  // what follows sums the norm
    }
    if (std::string(r.operation.name) == "squared_sums") waits_for = r.after;
  }
  CHECK(last_reduce >= 0);
  CHECK(waits_for == last_reduce);  // the sum of the loss and of who asks to stop
}

TEST_CASE("memory is known by what it is for") {
  JobConfig job = gpt_small();
  job.collectives.compression = "bfloat16";
  const auto record = record_step(job, 2);
  const BytesByUse& at_peak = record->memory.at_peak;
  const auto of = [&](MemoryUse use) {
    return static_cast<double>(at_peak[static_cast<std::size_t>(use)]);
  };
  const double parameters = 4.0 * static_cast<double>(record->parameters);
  CHECK(of(MemoryUse::parameters) == parameters);
  CHECK(of(MemoryUse::gradients) == Approx(parameters).epsilon(0.001));  // whole cache lines
  CHECK(of(MemoryUse::optimizer) == 2 * parameters);
  CHECK(of(MemoryUse::activations) > parameters);
  CHECK(of(MemoryUse::buffers) == Approx(1.5 * parameters).epsilon(0.001));  // three codes
  std::size_t sum = 0;
  for (const std::size_t bytes : at_peak)
    sum += bytes;
  CHECK(sum == record->memory.peak);
}

TEST_CASE(
    "with zero 3 no rank ever holds the whole model, and with zb-h1 the stage counts that holds "
    "most") {
  JobConfig job = gpt_small();
  job.model.layers = 24;
  job.model.sequence = 16;
  job.batch = {.global = 16, .micro = 1};
  const auto peak = [&](int ranks) {
    return static_cast<double>(record_step(job, ranks)->memory.peak);
  };
  const double whole = 4.0 * static_cast<double>(record_step(job, 1)->parameters);
  job.parallel.zero = 3;
  CHECK(peak(16) < 0.9 * whole);

  job.parallel = {.data = 1, .pipeline = 4, .schedule = "zb-h1"};
  const auto record = record_step(job, 4);
  REQUIRE(record->role_of == std::vector<int>{0, 1, 1, 2});
  CHECK(record->others.front().stage == 2);  // three micro-batches wait there, two on stage 1
}

TEST_CASE("steps can be left out unless the compression delays gradients, as top_k does") {
  CHECK(find_compression("top_k").delays);
  JobConfig job = gpt_small();
  job.failures.nonfinite = "skip";
  for (const CompressionMethod* method : compressions()) {
    INFO(method->name);
    job.collectives.compression = method->name;
    const std::string why = test::config_error([&] { record_step(job, 2); });
    CHECK((why.find("leaves steps out") != std::string::npos) == method->delays);
  }
}

TEST_CASE("gradients that are compressed are float32, whatever the model computes in") {
  JobConfig job = gpt_small();
  job.job.precision = "bfloat16";
  for (const CompressionMethod* method : compressions()) {
    INFO(method->name);
    job.collectives.compression = method->name;
    const auto record = record_step(job, 2);
    int steps = 0;
    for (const Record& r : record->recording.records()) {
      const Operation& o = r.operation;
      if (r.stream != StreamKind::communication || o.kind == OperationKind::collective) continue;
      CHECK(o.dtype == DType::float32);
      ++steps;
    }
    CHECK((steps > 0) == (method->name != std::string("none")));
  }
}
