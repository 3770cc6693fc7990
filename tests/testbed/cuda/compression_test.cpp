// SPDX-License-Identifier: Apache-2.0
// Every compression of the table on the emulated GPU against the CPU, on ranks that are threads:
// the same sums, the same kept for the next one, the same record.
#include <cmath>
#include <cstring>

#include "runtime/device/cuda_device.hpp"
#include "tests/collectives/compression_runs.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

// Runs of 256, chunks of 4096, tiles of 512 rows and ranks of factors that do not come out even.
struct Kind {
  const char* what;
  CompressionOptions options;
  BucketParts bucket;
};

std::vector<Kind> kinds() {
  const BucketParts tall{.count = 540 * 35 + 900,
                         .parts = {{0, 540, 35}, {540 * 35 + 4, 20, 40}, {540 * 35 + 820, 70, 1}}};
  return {{"nothing", {}, parts_of(0)},
          {"one element", {.share = 0.1}, parts_of(1)},
          {"a vector", {.share = 0.1}, parts_of(259)},
          {"two matrices and a vector", {.rank = 2, .share = 0.1}, parts_of(1003)},
          {"a tall matrix", {.rank = 9, .share = 0.01}, tall}};
}

// Not all different: of equals the first are taken.
float steps_of_eighths(int rank, int step, std::int64_t i) {
  return std::nearbyint(8 * noise(rank, step, i)) / 8;
}
// Of rank 1 one is no number, in the second step.
float broken(int rank, int step, std::int64_t i) {
  return rank == 1 && step == 1 && i == 40 ? NAN : noise(rank, step, i);
}

// Bits, except where sums have another order: relative to the largest. What is no number has many.
bool alike(const Values& a, const Values& b, bool exact) {
  float largest = 0;
  for (const float x : b)
    largest = std::max(largest, std::abs(x));
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](float x, float y) {
    if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && std::isnan(y);
    if (exact) return std::memcmp(&x, &y, sizeof x) == 0;
    return std::abs(x - y) <= 2e-5f * largest;
  });
}

std::vector<std::string> names_of(const Recording& recording) {
  std::vector<std::string> names;
  for (const Record& r : recording.records())
    names.emplace_back(r.operation.name);
  return names;
}

void check_alike(const Outcome& got, const Outcome& wanted, bool exact) {
  CHECK(names_of(got.recording) == names_of(wanted.recording));
  for (std::size_t step = 0; step < wanted.sums.size(); ++step) {
    for (std::size_t r = 0; r < wanted.sums[step].size(); ++r) {
      INFO("step " << step << ", rank " << r);
      CHECK(alike(got.sums[step][r], wanted.sums[step][r], exact));
      CHECK(alike(got.sums[step][r], got.sums[step][0], true));
    }
  }
  for (std::size_t r = 0; r < wanted.kept.size(); ++r) {
    REQUIRE(got.kept[r].size() == wanted.kept[r].size());
    for (std::size_t k = 0; k < wanted.kept[r].size(); ++k) {
      INFO("rank " << r << " keeps " << k);
      CHECK(alike(got.kept[r][k], wanted.kept[r][k], exact));
    }
  }
}

}  // namespace

TEST_CASE("every compression has the sums of the CPU") {
  const std::pair<Input, int> inputs[] = {
      {noise, 2}, {noise, 3}, {steps_of_eighths, 3}, {broken, 2}};
  for (const CompressionMethod* method : compressions()) {
    for (const Kind& kind : kinds()) {
      for (const auto& [input, ranks] : inputs) {
        INFO(method->name << ", " << kind.what << ", " << ranks << " ranks");
        Sums sums{kind.options, ranks, kind.bucket, input, 2};
        sums.options.method = method->name;
        Outcome got, wanted;
        run(wanted, sums);
        sums.make_device = [] { return make_cuda_device(0); };
        run(got, sums);
        check_alike(got, wanted, method->name != std::string("powersgd"));
      }
    }
  }
}
