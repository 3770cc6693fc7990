// SPDX-License-Identifier: Apache-2.0
// job.determinism = "layout": losses, gradient norms, evaluations and weights of every data and
// pipeline degree are the bits of one rank.
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

constexpr int kSteps = 4;

struct Layout {
  int data = 1, pipeline = 1, chunks = 1;
  const char* schedule = "1f1b";
  const char* recompute = "none";
};

std::vector<Layout> layouts_of(int ranks) {
  std::vector<Layout> all;
  for (const int data : {1, 2, 4}) {
    for (const int pipeline : {1, 2, 4}) {
      if (data * pipeline != ranks) continue;
      all.push_back({.data = data, .pipeline = pipeline});
      if (ranks == 8) continue;  // four ranks to a core
      all.push_back({.data = data, .pipeline = pipeline, .recompute = "full"});
      if (pipeline == 1) continue;
      all.push_back({.data = data, .pipeline = pipeline, .schedule = "gpipe"});
      all.push_back({.data = data, .pipeline = pipeline, .schedule = "zb-h1"});
      if (pipeline == 2) {
        all.push_back({.data = data, .pipeline = pipeline, .chunks = 2, .schedule = "interleaved"});
      }
    }
  }
  return all;
}

JobConfig job_of(const std::string& kind, std::int64_t micro) {
  JobConfig job = test::small_job();
  job.job.determinism = "layout";
  job.model.kind = kind;
  job.model.layers = 4;
  job.model.heads = 2;
  job.model.tied = kind == "gpt";
  job.batch.global = 8;
  job.batch.micro = micro;
  job.optimizer.clip = 0.5;  // below the norms: the factor counts
  return job;
}

struct Bits {
  test::Trained trained;
  Evaluation evaluation{};
};

Bits train(const JobConfig& job, const Communicator& world, Device& device, MPI_Comm comm) {
  Bits bits{test::train(job, world, device, kSteps, comm)};
  bits.trained.weights.clear();  // of this rank only
  bits.trained.peak_stored = 0;
  const Mesh mesh(world, {job.parallel.data, job.parallel.tensor, job.parallel.pipeline});
  TrainingStep step(plan_model(job.model), mesh, device, job);
  const auto text = std::make_shared<test::MadeUpText>(job.model.vocabulary);
  const BatchReader all({text, 0, text->size()}, {.global = job.batch.global,
                                                  .micro = job.batch.micro,
                                                  .sequence = job.model.sequence,
                                                  .seed = job.job.seed});
  bits.evaluation = step.evaluate([&](std::int64_t k) { return all.read(0, k); },
                                  job.batch.global / job.batch.micro - 1);
  return bits;
}

Bits train_alone(const JobConfig& job) {
  const auto device = make_cpu_device();
  return train(job, Communicator::over(MPI_COMM_SELF, *device), *device, MPI_COMM_SELF);
}

Bits train_together(JobConfig job, const Layout& layout) {
  job.parallel.data = layout.data;
  job.parallel.pipeline = layout.pipeline;
  job.parallel.chunks = layout.chunks;
  job.parallel.schedule = layout.schedule;
  job.parallel.recompute = layout.recompute;
  const auto device = make_cpu_device();
  return train(job, Communicator::world(test::context(), *device, {.backend = "native"}), *device,
               test::context().world());
}

}  // namespace

TEST_CASE("every data and pipeline degree gives the bits of one rank") {
  for (const char* kind : {"gpt", "llama"}) {
    for (const std::int64_t micro : {1, 2}) {
      const JobConfig job = job_of(kind, micro);
      const Bits alone = train_alone(job);
      for (const Layout& l : layouts_of(test::context().size())) {
        if (job.batch.global / micro % l.data != 0) continue;
        INFO(kind << " micro " << micro << " data " << l.data << " pipeline " << l.pipeline << " x "
                  << l.chunks << " " << l.schedule << " recompute " << l.recompute);
        const Bits together = train_together(job, l);
        CHECK(together.trained.losses == alone.trained.losses);
        CHECK(together.trained.grad_norms == alone.trained.grad_norms);
        CHECK(together.evaluation == alone.evaluation);
        CHECK(together.trained.after == alone.trained.after);
      }
    }
  }
}

TEST_CASE("what is no tree is refused") {
  if (test::context().size() != 2) return;
  JobConfig job = job_of("gpt", 1);
  job.batch.global = 6;
  CHECK_THROWS_AS(train_together(job, {.data = 2}), ConfigError);
}
