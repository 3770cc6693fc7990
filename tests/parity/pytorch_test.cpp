// SPDX-License-Identifier: Apache-2.0
// Our models against an independent implementation: what PyTorch computed for the same weights and
// batches (make_reference.py) in float32. Logits, loss, every gradient, and 20 steps of AdamW.
#include <cmath>
#include <string>

#include "models/registry.hpp"
#include "parallelism/hybrid/training_step.hpp"
#include "runtime/checkpoint/safetensors.hpp"
#include "runtime/kernels/cross_entropy.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"
#include "tests/support/tensors.hpp"

using namespace lockstep;

namespace {

constexpr double kTolerance = 1e-4;

std::int64_t integer(const SafetensorsFile& file, const char* key) {
  const auto& all = file.metadata();
  return all.count(key) ? std::stoll(all.at(key)) : 0;
}

double number(const SafetensorsFile& file, const char* key) {
  return std::stod(file.metadata().at(key));
}

JobConfig job_of(const SafetensorsFile& file) {
  JobConfig job;
  ModelSection& m = job.model;
  m.kind = file.metadata().at("kind");
  m.layers = integer(file, "layers");
  m.hidden = integer(file, "hidden");
  m.heads = std::max<std::int64_t>(1, integer(file, "heads"));
  m.kv_heads = integer(file, "kv_heads");
  m.ffn = integer(file, "ffn");
  m.sequence = integer(file, "sequence");
  m.vocabulary = integer(file, "vocabulary");
  m.context = integer(file, "context");
  m.tied = !file.contains("initial.head.weight");
  job.batch.global = integer(file, "batch");
  job.optimizer.learning_rate = number(file, "learning_rate");
  job.optimizer.weight_decay = number(file, "weight_decay");
  job.optimizer.betas = {number(file, "beta1"), number(file, "beta2")};
  job.optimizer.epsilon = number(file, "epsilon");
  job.optimizer.clip = number(file, "clip");
  return job;
}

void load_weights(const std::vector<Parameter*>& parameters, const SafetensorsFile& file) {
  for (Parameter* p : parameters) {
    const auto values = file.values("initial." + p->name);
    REQUIRE(values.size() == p->value.values().size());
    std::copy(values.begin(), values.end(), p->value.data());
  }
}

// Largest difference relative to the largest wanted value. The middle third of the qkv bias (that
// of the keys) has no effect on anything but rounding, and is left out.
double error_of(const Tensor& got, const std::vector<float>& wanted, const std::string& name) {
  REQUIRE(got.values().size() == wanted.size());
  const bool keys = name.ends_with("attention.qkv.bias");
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (keys && i / (wanted.size() / 3) == 1) continue;
    difference = std::max(difference, std::abs(double{got.data()[i]} - wanted[i]));
    largest = std::max(largest, std::abs(double{wanted[i]}));
  }
  return difference / largest;
}

HostBatch batch_of(const SafetensorsFile& file, const JobConfig& job, std::int64_t step) {
  const auto tokens = file.values<std::int32_t>("tokens");
  const auto targets = file.values<std::int32_t>("targets");
  const std::int64_t count = job.batch.global * job.model.sequence;
  HostBatch batch;
  batch.tokens.assign(tokens.begin() + step * count, tokens.begin() + (step + 1) * count);
  batch.targets.assign(targets.begin() + step * count, targets.begin() + (step + 1) * count);
  batch.batch = job.batch.global;
  batch.sequence = job.model.sequence;
  batch.first_sample = step * job.batch.global;
  return batch;
}

void check_first_gradients(const SafetensorsFile& file, const JobConfig& job, Device& device) {
  const auto model = make_model(job.model, device, 1);
  const auto parameters = parameters_of(*model);
  load_weights(parameters, file);
  allocate_gradients(parameters);

  const HostBatch batch = batch_of(file, job, 0);
  const Shape shape{batch.batch, batch.sequence};
  Stash stash({.samples = batch.batch, .tokens = batch.sequence, .rows = shape.count()});
  Tensor logits = model->forward(test::tensor_of(device, batch.tokens, shape), stash);
  CHECK(error_of(logits, file.values("logits"), "logits") < kTolerance);

  const std::int64_t rows = shape.count();
  Tensor losses = Tensor::empty(device, {rows});
  kernels::cross_entropy(losses, logits, test::tensor_of(device, batch.targets, shape),
                         1.0f / static_cast<float>(rows), device.compute());
  model->backward_input(logits, stash);
  for (Parameter* p : parameters) {
    INFO(p->name);
    add_second_use(*p);
    CHECK(error_of(p->grad, file.values("gradient." + p->name), p->name) < kTolerance);
  }
}

void check_training(const SafetensorsFile& file, const JobConfig& job, Device& device) {
  const Mesh mesh(Communicator::world(test::context(), device), {});
  TrainingStep step(plan_model(job.model), mesh, device, job);
  load_weights(step.parameters(), file);

  const auto losses = file.values("losses"), norms = file.values("gradient_norms");
  REQUIRE(losses.size() == 20);
  for (std::int64_t s = 0; s < 20; ++s) {
    INFO("step " << s);
    const StepResult result =
        step.run([&] { return batch_of(file, job, s); }, job.optimizer.learning_rate, false);
    CHECK(result.loss == Approx(losses[s]).margin(kTolerance));
    CHECK(result.grad_norm == Approx(norms[s]).epsilon(kTolerance));
  }
  for (const Parameter* p : step.parameters()) {
    INFO(p->name);
    CHECK(error_of(p->value, file.values("final." + p->name), p->name) < kTolerance);
  }
}

}  // namespace

TEST_CASE("models agree with PyTorch: logits, gradients, 20 steps of AdamW") {
  for (const char* name : {"gpt_tied", "gpt_untied", "llama", "mlp"}) {
    INFO(name);
    const auto file =
        SafetensorsFile::open(LOCKSTEP_REFERENCE_DIR + std::string("/") + name + ".safetensors");
    const JobConfig job = job_of(file);
    const auto device = make_cpu_device();
    check_first_gradients(file, job, *device);
    check_training(file, job, *device);
  }
}
