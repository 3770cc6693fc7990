// SPDX-License-Identifier: Apache-2.0
// Every layout trains the same model: losses, gradient norms and assembled weights of 20 steps, and
// an evaluation after them, are those of one rank, dropout included; initial weights are the same
// bits, and a pure pipeline changes none.
#include <cmath>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

constexpr int kSteps = 20;
constexpr double kTolerance = 1e-4;

struct Layout {
  int data = 1, tensor = 1, pipeline = 1, chunks = 1;
  const char* schedule = "1f1b";
  int zero = 0, micro_batches = 1;
  bool sequence_parallel = false;
  const char* recompute = "none";

  int ranks() const { return data * tensor * pipeline; }
  bool pure_pipeline() const { return pipeline == ranks(); }
};

std::string text_of(const Layout& l) {
  return "data " + std::to_string(l.data) + " tensor " + std::to_string(l.tensor) + " pipeline " +
         std::to_string(l.pipeline) + " chunks " + std::to_string(l.chunks) + " " + l.schedule +
         " zero " + std::to_string(l.zero) + " micro-batches " + std::to_string(l.micro_batches) +
         (l.sequence_parallel ? " sequence parallel" : "") + " recompute " + l.recompute;
}

// The layouts of so many ranks.
std::vector<Layout> layouts_of(int ranks) {
  std::vector<Layout> all;
  const auto add = [&](const Layout& l) {
    if (l.ranks() == ranks) all.push_back(l);
  };
  for (const char* recompute : {"none", "selective", "full"}) {
    add({.recompute = recompute});
    add({.tensor = 2, .sequence_parallel = true, .recompute = recompute});
    add({.pipeline = 2, .micro_batches = 4, .recompute = recompute});
  }
  for (const int tensor : {2, 4}) {
    add({.tensor = tensor});
    add({.tensor = tensor, .micro_batches = 2, .sequence_parallel = true});
  }
  for (const int pipeline : {2, 3, 4}) {
    for (const int micro : {4, 8}) {
      for (const char* schedule : {"gpipe", "1f1b", "zb-h1"})
        add({.pipeline = pipeline, .schedule = schedule, .micro_batches = micro});
      if (micro % pipeline == 0 && pipeline < 4) {
        add({.pipeline = pipeline, .chunks = 2, .schedule = "interleaved", .micro_batches = micro});
      }
    }
  }
  for (const int zero : {1, 2, 3}) {
    for (const int data : {2, 3, 4}) {
      add({.data = data, .zero = zero});
      add({.data = data, .zero = zero, .micro_batches = 2, .recompute = "full"});
    }
    add({.data = 2, .tensor = 2, .zero = zero, .sequence_parallel = true});
  }
  add({.data = 2, .tensor = 2});
  add({.data = 2, .pipeline = 2, .micro_batches = 4});
  for (const int zero : {1, 2, 3}) {
    add({.data = 2, .pipeline = 2, .zero = zero, .micro_batches = 4});
    add({.data = 2,
         .pipeline = 2,
         .chunks = 2,
         .schedule = "interleaved",
         .zero = zero,
         .micro_batches = 4});
  }
  add({.data = 2, .pipeline = 2, .schedule = "zb-h1", .zero = 1, .micro_batches = 4});
  add({.tensor = 2, .pipeline = 2, .micro_batches = 4});
  add({.tensor = 2,
       .pipeline = 2,
       .schedule = "zb-h1",
       .micro_batches = 4,
       .sequence_parallel = true});
  add({.data = 2, .tensor = 2, .pipeline = 2, .micro_batches = 4});
  add({.data = 2,
       .tensor = 2,
       .pipeline = 2,
       .chunks = 2,
       .schedule = "interleaved",
       .zero = 1,
       .micro_batches = 4,
       .sequence_parallel = true,
       .recompute = "full"});
  return all;
}

// 24 sequences: 2, 3 and 4 data ranks, 2, 4 and 8 micro-batches.
JobConfig job_of(const std::string& kind, bool tied) {
  JobConfig job = test::small_job();
  job.model.kind = kind;
  job.model.layers = 4;
  job.model.hidden = 32;
  job.model.heads = 8;
  job.model.kv_heads = kind == "llama" ? 4 : 0;
  job.model.sequence = 12;
  job.model.tied = tied;
  job.batch.global = 24;
  return job;
}

JobConfig in_layout(JobConfig job, const Layout& l) {
  job.parallel.data = l.data;
  job.parallel.tensor = l.tensor;
  job.parallel.pipeline = l.pipeline;
  job.parallel.chunks = l.chunks;
  job.parallel.schedule = l.schedule;
  job.parallel.zero = l.zero;
  job.parallel.sequence_parallel = l.sequence_parallel;
  job.parallel.recompute = l.recompute;
  job.batch.micro = job.batch.global / l.data / l.micro_batches;
  return job;
}

// The serial run with micro-batches of the same size.
test::Trained train_alone(JobConfig job) {
  job.parallel = {};
  const auto device = make_cpu_device();
  return test::train(job, Communicator::over(MPI_COMM_SELF, *device), *device, kSteps,
                     MPI_COMM_SELF);
}

double largest_difference(const test::Weights& a, const test::Weights& b) {
  double difference = 0, largest = 0;
  for (const auto& [name, values] : a) {
    const std::vector<float>& other = b.at(name);
    for (std::size_t i = 0; i < values.size(); ++i) {
      difference = std::max(difference, std::abs(double{values[i]} - other[i]));
      largest = std::max(largest, std::abs(double{values[i]}));
    }
  }
  return difference / largest;
}

void check(const Layout& layout, const JobConfig& wanted, const test::Trained& alone) {
  INFO(wanted.model.kind << ": " << text_of(layout));
  const auto device = make_cpu_device();
  const JobConfig job = in_layout(wanted, layout);
  const test::Trained together =
      test::train(job, Communicator::world(test::context(), *device, {.backend = "native"}),
                  *device, kSteps, test::context().world());
  CHECK(together.before == alone.before);
  for (std::size_t s = 0; s < kSteps; ++s) {
    INFO("step " << s);
    CHECK(together.losses[s] == Approx(alone.losses[s]).epsilon(kTolerance));
    CHECK(together.grad_norms[s] == Approx(alone.grad_norms[s]).epsilon(kTolerance));
  }
  CHECK(largest_difference(alone.after, together.after) < 1e-3);
  // A choice between two tokens that are nearly alike may turn.
  const double tokens = static_cast<double>(job.batch.global * job.model.sequence);
  CHECK(std::abs(together.evaluation.accuracy - alone.evaluation.accuracy) < 2.5 / tokens);
  CHECK(together.evaluation.loss == Approx(alone.evaluation.loss).epsilon(kTolerance));
  if (layout.pure_pipeline()) {
    CHECK(together.losses == alone.losses);
    CHECK(together.grad_norms == alone.grad_norms);
    CHECK(together.after == alone.after);
    CHECK(together.evaluation.accuracy == alone.evaluation.accuracy);
  }
  const std::string schedule = layout.schedule;
  if (schedule == "1f1b" || schedule == "zb-h1") CHECK(together.peak_stored <= layout.pipeline);
}

}  // namespace

TEST_CASE("every layout trains the model that one rank trains") {
  for (const char* kind : {"gpt", "llama"}) {
    const JobConfig job = job_of(kind, std::string(kind) == "gpt");
    std::map<std::int64_t, test::Trained> alone;  // by size of micro-batch
    for (const Layout& layout : layouts_of(test::context().size())) {
      const std::int64_t micro = in_layout(job, layout).batch.micro;
      if (!alone.count(micro)) {
        JobConfig serial = job;
        serial.batch.micro = micro;
        alone[micro] = train_alone(serial);
        CHECK(alone.at(micro).evaluation.accuracy > 0.2);  // far from chance, and from all
      }
      check(layout, job, alone.at(micro));
    }
  }
}
