// SPDX-License-Identifier: Apache-2.0
// Training with each compression of the table on two emulated GPUs, of ranks that are threads, has
// the curve of the CPUs.
#include "collectives/compression/table.hpp"
#include "runtime/device/cuda_device.hpp"
#include "tests/collectives/ranks.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

constexpr int kRanks = 2, kSteps = 3;

JobConfig job_with(const std::string& compression) {
  JobConfig job = test::small_job();
  job.batch.global = 4;
  job.model.layers = 1;
  job.model.sequence = 9;
  job.collectives.compression = compression;
  job.collectives.compression_share = 0.05;
  return job;
}

std::vector<double> losses(const JobConfig& job, DeviceKind kind, DType values) {
  std::vector<double> losses;
  test::on_ranks(kRanks, [&](Transport& net) {
    const auto device = kind == DeviceKind::cuda ? make_cuda_device(0) : make_cpu_device();
    device->compute_in({.values = values});
    const auto world = Communicator::over(net.split(0, net.rank()), *device);
    const test::Trained trained = test::train(job, world, *device, kSteps);
    if (net.rank() == 0) losses = trained.losses;
  });
  return losses;
}

}  // namespace

TEST_CASE("compressed gradients of a GPU train like those of the CPU") {
  for (const CompressionMethod* method : compressions()) {
    const JobConfig job = job_with(method->name);
    const auto wanted = losses(job, DeviceKind::cpu, DType::float32);
    for (const DType values : {DType::float32, DType::bfloat16}) {
      if (values == DType::bfloat16 && method->name != std::string("int8")) continue;
      const auto got = losses(job, DeviceKind::cuda, values);
      REQUIRE(got.size() == wanted.size());
      for (std::size_t step = 0; step < got.size(); ++step) {
        INFO(method->name << " in " << name_of(values) << ", step " << step);
        CHECK(got[step] == Approx(wanted[step]).epsilon(values == DType::float32 ? 2e-5 : 1e-2));
      }
    }
  }
}
