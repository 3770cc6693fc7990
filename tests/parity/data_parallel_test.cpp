// SPDX-License-Identifier: Apache-2.0
// Data parallelism changes nothing but the order of additions: the loss curve is that of one rank
// with the same global batch and seed, dropout included.
#include <string>

#include "collectives/backends/table.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

constexpr int kSteps = 20;

test::Trained train_alone(const JobConfig& job) {
  const auto device = make_cpu_device();
  return test::train(job, Communicator::over(MPI_COMM_SELF, *device), *device, kSteps);
}

test::Trained train_together(const JobConfig& job, const std::string& backend) {
  const auto device = make_cpu_device();
  return test::train(job, Communicator::world(test::context(), *device, {.backend = backend}),
                     *device, kSteps);
}

}  // namespace

TEST_CASE("data parallelism gives the serial loss curve") {
  for (const std::string& kind : model_kinds()) {
    JobConfig job = test::small_job();
    job.model.kind = kind;
    const test::Trained alone = train_alone(job);
    CHECK(alone.losses.back() < alone.losses.front());
    for (const BackendEntry& backend : backends()) {
      for (const std::int64_t micro : {0, 1}) {  // without and with accumulation
        INFO(kind << ", backend " << backend.name << ", micro " << micro);
        job.batch.micro = micro;
        const test::Trained together = train_together(job, backend.name);
        for (int s = 0; s < kSteps; ++s) {
          INFO("step " << s);
          CHECK(together.losses[s] == Approx(alone.losses[s]).margin(1e-5));
          CHECK(together.grad_norms[s] == Approx(alone.grad_norms[s]).epsilon(1e-4));
        }
      }
    }
  }
}

TEST_CASE("the same seed and layout give the same bits") {
  const JobConfig job = test::small_job();
  for (const BackendEntry& backend : backends()) {
    CHECK(train_together(job, backend.name) == train_together(job, backend.name));
  }
  JobConfig other = job;
  other.job.seed = 8;
  CHECK_FALSE(train_together(job, "native") == train_together(other, "native"));
}
