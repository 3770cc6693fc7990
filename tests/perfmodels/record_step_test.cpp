// SPDX-License-Identifier: Apache-2.0
// The dry device against the real one and against the textbook's count.
#include "perfmodels/record_step.hpp"

#include <algorithm>

#include "tests/support/catch.hpp"
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
  CHECK(static_cast<double>(dry->memory.peak) == Approx(peak).epsilon(0.05));

  const auto model = make_model(job.model, *device, 1);
  const Mesh mesh(world, {});
  TrainingStep step(*model, mesh, *device, job);
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
  for (const Record& r : dry->recording.records())
    recorded.push_back(r.operation);
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
    CHECK(ran[i].shape == recorded[i].shape);
    CHECK(ran[i].flops == recorded[i].flops);
    CHECK(ran[i].bytes_written == recorded[i].bytes_written);
    CHECK(ran[i].ranks == recorded[i].ranks);
    if (alike) CHECK(std::string(ran[i].detail) == recorded[i].detail);
  }
}
