// SPDX-License-Identifier: Apache-2.0
// Sums of buckets by each compression, on ranks that are threads: of the CPU and, in a program
// linked with tests/testbed/cuda, of the emulated GPU, whose memory is the host's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collectives/compression/table.hpp"
#include "runtime/base/philox.hpp"
#include "runtime/tensor/transfer.hpp"
#include "tests/collectives/ranks.hpp"

namespace lockstep::test {

using Values = std::vector<float>;
// What a rank brings at index i of a step.
using Input = std::function<float(int rank, int step, std::int64_t i)>;

inline CompressionOptions options_of(const std::string& method) {
  return {.method = method, .rank = 2, .share = 0.1};
}

// Two matrices and a vector, with gaps; smaller buckets are one vector.
inline BucketParts parts_of(std::int64_t count) {
  if (count < 300) return {.count = count, .parts = {{0, 1, count}}};
  return {.count = count, .parts = {{0, 9, 11}, {112, 16, 8}, {256, count - 260, 1}}};
}

// As a matrix of these dimensions.
inline BucketParts matrix_of(std::int64_t rows, std::int64_t columns) {
  return {.count = rows * columns, .parts = {{0, rows, columns}}};
}

inline float noise(int rank, int step, std::int64_t i) {
  const auto key = static_cast<std::uint64_t>(rank * 10007 + step);
  return 2 * uniform01(philox(key, static_cast<std::uint64_t>(i)).word[0]) - 1;
}

// Zero between the parts, as buckets are.
inline Values contribution(const BucketParts& bucket, const Input& input, int rank, int step) {
  Values values(static_cast<std::size_t>(bucket.count));
  for (const BucketParts::Part& part : bucket.parts) {
    for (std::int64_t i = part.begin; i < part.begin + part.count(); ++i)
      values[static_cast<std::size_t>(i)] = input(rank, step, i);
  }
  return values;
}

struct Sums {
  CompressionOptions options;
  int ranks;
  BucketParts bucket;
  Input input;
  int steps = 1;
  std::function<std::unique_ptr<Device>()> make_device = [] { return make_cpu_device(); };
};

struct Outcome {
  std::vector<std::vector<Values>> sums;  // of each step, of each rank
  std::vector<std::vector<Values>> kept;  // of each rank, in the end
  Recording recording;                    // of rank 0
};

inline void run(Outcome& outcome, const Sums& what) {
  const auto ranks = static_cast<std::size_t>(what.ranks);
  outcome.sums.assign(static_cast<std::size_t>(what.steps), std::vector<Values>(ranks));
  outcome.kept.assign(ranks, {});
  on_ranks(what.ranks, [&](Transport& net) {
    const auto device = what.make_device();
    const int me = net.rank();
    const auto group = Communicator::over(net.split(0, me), *device);
    const auto compression = make_compression(group, *device, what.bucket, what.options);
    if (me == 0) device->record_into(&outcome.recording);
    Tensor data = Tensor::empty(*device, {what.bucket.count});
    for (int step = 0; step < what.steps; ++step) {
      const Values values = contribution(what.bucket, what.input, me, step);
      upload(data, values.data(), data.bytes());
      compression->all_reduce(group, data).wait();
      outcome.sums[static_cast<std::size_t>(step)][static_cast<std::size_t>(me)] =
          read_values(data);
    }
    for (const Tensor& kept : compression->kept())
      outcome.kept[static_cast<std::size_t>(me)].push_back(read_values(kept));
    device->record_into(nullptr);
  });
}

}  // namespace lockstep::test
