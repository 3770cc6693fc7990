// SPDX-License-Identifier: Apache-2.0
// Whole training steps on a GPU: losses, norms and weights of the CPU, in float32 and in bfloat16
// with float32 masters, and the memory that the dry device counts. On a GPU (label gpu), and once
// more on the emulated one of tests/testbed/cuda (label unit).
#include "tests/support/catch.hpp"
#include "tests/support/gpu.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

constexpr int kSteps = 2;

struct Variant {
  const char* what;
  void (*change)(JobConfig& job);
};

constexpr Variant kVariants[] = {
    {"gpt", [](JobConfig&) {}},
    {"gpt, untied, nothing dropped, micro-batches",
     [](JobConfig& job) {
       job.model.tied = false;
       job.model.dropout = 0;
       job.batch.micro = 1;
     }},
    {"gpt, sgd, attention computed again",
     [](JobConfig& job) {
       job.optimizer.kind = "sgd";
       job.parallel.recompute = "selective";
     }},
    {"llama, shared keys and values",
     [](JobConfig& job) {
       job.model.kind = "llama";
       job.model.heads = 6;
       job.model.kv_heads = 3;
       job.model.ffn = 40;
     }},
    {"mlp, zero 1",
     [](JobConfig& job) {
       job.model.kind = "mlp";
       job.parallel.zero = 1;
     }},
    {"gpt, zero 3", [](JobConfig& job) { job.parallel.zero = 3; }},
};

JobConfig job_of(const Variant& variant) {
  JobConfig job = test::small_job();
  job.parallel.data = 1;
  job.batch.global = 2;
  job.batch.micro = 0;
  job.model.layers = 1;
  job.model.sequence = 9;
  variant.change(job);
  return job;
}

std::unique_ptr<Device> gpu_in(DType values) {
  auto device = make_cuda_device(0);
  device->compute_in({.values = values});
  return device;
}

test::Trained trained_on(Device& device, const JobConfig& job) {
  return test::train(job, Communicator::alone(device), device, kSteps);
}

// Of all weights together, |a - b| / |b|: those whose gradient is zero but for rounding (biases of
// keys) go anywhere, by as much as the others, but are few.
double distance(const std::vector<std::vector<float>>& a,
                const std::vector<std::vector<float>>& b) {
  double difference = 0, size = 0;
  for (std::size_t p = 0; p < b.size(); ++p) {
    for (std::size_t i = 0; i < b[p].size(); ++i) {
      difference += (a[p][i] - b[p][i]) * (a[p][i] - b[p][i]);
      size += b[p][i] * b[p][i];
    }
  }
  return std::sqrt(difference / size);
}

void check_close(const test::Trained& got, const test::Trained& wanted, double tolerance) {
  for (std::size_t step = 0; step < kSteps; ++step) {
    INFO("step " << step + 1);
    CHECK(got.losses[step] == Approx(wanted.losses[step]).epsilon(tolerance));
    CHECK(got.grad_norms[step] == Approx(wanted.grad_norms[step]).epsilon(5 * tolerance));
  }
  REQUIRE(got.weights.size() == wanted.weights.size());
  if (!wanted.weights.empty()) CHECK(distance(got.weights, wanted.weights) < 10 * tolerance);
}

}  // namespace

TEST_CASE("training on a GPU is training on the CPU", "[gpu]") {
  if (test::no_gpu()) return;
  for (const Variant& variant : kVariants) {
    const JobConfig job = job_of(variant);
    const auto cpu = make_cpu_device();
    const test::Trained wanted = trained_on(*cpu, job);
    {
      INFO(variant.what << " in float32");
      const auto gpu = gpu_in(DType::float32);
      check_close(trained_on(*gpu, job), wanted, 2e-5);
    }
    {
      INFO(variant.what << " in bfloat16");
      const auto gpu = gpu_in(DType::bfloat16);
      check_close(trained_on(*gpu, job), wanted, 1e-2);
    }
  }
}

TEST_CASE("steps too small for bfloat16 add up in the masters", "[gpu]") {
  if (test::no_gpu()) return;
  JobConfig job = job_of(kVariants[0]);
  job.model.dropout = 0;
  job.optimizer.learning_rate = 1e-5;  // of weights of 0.02: an eighth of their last bit
  const auto gpu = gpu_in(DType::bfloat16);
  const test::Trained before = test::train(job, Communicator::alone(*gpu), *gpu, 0);
  const test::Trained after = test::train(job, Communicator::alone(*gpu), *gpu, 10);
  std::size_t moved = 0, all = 0;
  for (std::size_t p = 0; p < before.weights.size(); ++p) {
    for (std::size_t i = 0; i < before.weights[p].size(); ++i, ++all)
      moved += before.weights[p][i] != after.weights[p][i];
  }
  CHECK(moved > all / 2);
}

TEST_CASE("a GPU holds of parameters, gradients and states what the dry device counts", "[gpu]") {
  if (test::no_gpu()) return;
  for (const Variant& variant : kVariants) {
    for (const DType values : {DType::float32, DType::bfloat16}) {
      INFO(variant.what << " in " << name_of(values));
      const JobConfig job = job_of(variant);
      const auto gpu = gpu_in(values), dry = make_dry_device();
      dry->compute_in({.values = values});
      trained_on(*gpu, job);
      const Communicator world = Communicator::dry(*dry, 1, 0);
      test::train(job, world, *dry, kSteps);
      for (const MemoryUse use :
           {MemoryUse::parameters, MemoryUse::gradients, MemoryUse::optimizer}) {
        INFO(name_of(use));
        const auto at = static_cast<std::size_t>(use);
        CHECK(gpu->memory().at_peak[at] == dry->memory().at_peak[at]);
      }
    }
  }
}
