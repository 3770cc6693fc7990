// SPDX-License-Identifier: Apache-2.0
// Calibration names its kernels as jobs do: whatever a step records, a calibration has measured.
#include "perfmodels/calibrate/kernel_runs.hpp"

#include <set>
#include <string>

#include "collectives/compression/table.hpp"
#include "models/registry.hpp"
#include "perfmodels/kernel_time.hpp"
#include "perfmodels/record_step.hpp"
#include "runtime/optim/table.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"

using namespace lockstep;

namespace {

template <class Kernels>
std::set<std::string> names_of(const Kernels& kernels) {
  std::set<std::string> names;
  for (const auto& kernel : kernels)
    names.insert(kernel.name);
  return names;
}

Operation recorded(const std::function<Launch(Device&)>& prepare) {
  const auto dry = make_dry_device();
  dry->compute_in({.values = DType::bfloat16, .attention = AttentionBy::library});
  const Launch launch = prepare(*dry);
  Recording recording;
  dry->record_into(&recording);
  launch();
  dry->record_into(nullptr);
  REQUIRE(recording.records().size() == 1);
  return recording.records().front().operation;
}

bool cuts(JobConfig job) {
  job.parallel.tensor = 2;
  return test::config_error([&] { record_step(job, 2); }) == "no error";
}

// Every model and optimizer in both types, with and without dropout, whole and cut.
std::vector<JobConfig> jobs() {
  std::vector<JobConfig> all;
  for (const std::string& model : model_kinds()) {
    for (const OptimizerKind* optimizer : optimizer_kinds()) {
      for (const char* precision : {"float32", "bfloat16"}) {
        JobConfig job;
        job.model.kind = model;
        job.model.vocabulary = 256;
        job.job.precision = precision;
        job.optimizer.kind = optimizer->name;
        job.batch.micro = 2;
        job.model.dropout = 0.1;
        all.push_back(job);
        job.model.dropout = 0;
        if (cuts(job)) job.parallel.tensor = 2;
        all.push_back(job);
      }
    }
  }
  return all;
}

}  // namespace

TEST_CASE("every kernel of a step has been calibrated under its name") {
  std::set<std::string> known, unknown;
  for (const auto& names :
       {names_of(streaming_kernels()), names_of(product_kernels()), names_of(attention_kernels())})
    known.insert(names.begin(), names.end());
  for (const JobConfig& job : jobs()) {
    const auto step = record_step(job, 2);
    for (const Record& r : step->recording.records()) {
      const OperationKind kind = r.operation.kind;
      const bool kernel = kind == OperationKind::streaming || kind == OperationKind::gemm ||
                          kind == OperationKind::attention;
      if (!kernel || r.stream == StreamKind::communication) continue;
      if (!known.count(r.operation.name)) unknown.insert(r.operation.name);
    }
  }
  INFO("a new kernel needs a line in perfmodels/calibrate (streaming_runs, kernel_runs)");
  CHECK(unknown == std::set<std::string>{});
}

TEST_CASE("every local step of compressed sums has been calibrated under its name") {
  std::set<std::string> known;
  for (const StreamingKernel& kernel : compression_kernels())
    known.insert(kernel_key(kernel.name, kernel.by));
  for (const CompressionMethod* method : compressions()) {
    JobConfig job;
    job.model.vocabulary = 256;
    job.collectives.compression = method->name;
    const auto step = record_step(job, 2);
    for (const Record& r : step->recording.records()) {
      const Operation& o = r.operation;
      if (r.stream != StreamKind::communication || o.kind != OperationKind::streaming) continue;
      INFO(method->name << " " << o.name << " " << o.detail);
      CHECK(known.count(kernel_key(o.name, o.detail)));
    }
  }
}

TEST_CASE("kernels are what their names say, of the shapes that were asked for") {
  for (const auto& kernels : {streaming_kernels(), compression_kernels()}) {
    for (const StreamingKernel& kernel : kernels) {
      INFO(kernel.name << " " << kernel.by);
      const Operation o = operation_of(kernel, 1 << 14);
      CHECK(o.name == std::string(kernel.name));
      CHECK(o.detail == std::string(kernel.by));
      CHECK(o.kind == OperationKind::streaming);
    }
  }
  for (const ProductKernel& kernel : product_kernels()) {
    INFO(kernel.name);
    const Operation o = recorded([&](Device& d) { return kernel.prepare(d, 8, 16, 32); });
    CHECK(o.name == std::string(kernel.name));
    CHECK((o.shape[0] == 8 && o.shape[1] == 16 && o.shape[2] == 32));
  }
  for (const AttentionKernel& kernel : attention_kernels()) {
    INFO(kernel.name);
    const auto shape = kernels::AttentionShape::whole(2, 16, 4, 8);
    const Operation o = recorded([&](Device& d) { return kernel.prepare(d, shape); });
    CHECK(o.name == std::string(kernel.name));
    CHECK(o.detail == std::string("library"));
    CHECK((o.shape[0] == 2 && o.shape[1] == 16 && o.shape[2] == 4 && o.shape[3] == 8));
  }
}

TEST_CASE("every kernel runs on memory") {
  const auto device = make_cpu_device(CommunicationDriver::caller);
  for (const auto& kernels : {streaming_kernels(), compression_kernels()}) {
    for (const StreamingKernel& kernel : kernels) {
      for (const std::int64_t n : {1024, 5000, 1 << 16}) {
        const Launch launch = kernel.prepare(*device, n);
        launch();
        launch();
      }
    }
  }
  for (const ProductKernel& kernel : product_kernels()) {
    if (!kernel.bfloat16_only) kernel.prepare(*device, 3, 5, 7)();
  }
  for (const AttentionKernel& kernel : attention_kernels())
    kernel.prepare(*device, kernels::AttentionShape::whole(1, 70, 2, 8))();
}
