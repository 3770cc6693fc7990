// SPDX-License-Identifier: Apache-2.0
// Every compression of the table, on ranks that are threads: what travels, what all ranks end with,
// how far from the sum that may be, and that error feedback makes it good.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <string>

#include "tests/collectives/compression_runs.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

std::vector<Values> sums_of(const std::string& method, int ranks, const BucketParts& bucket,
                            const Input& input, int steps = 1) {
  Outcome outcome;
  run(outcome, {options_of(method), ranks, bucket, input, steps});
  std::vector<Values> sums;
  for (const auto& step : outcome.sums)
    sums.push_back(step[0]);
  return sums;
}

// Sums of float64.
std::vector<double> exact_sum(int ranks, const BucketParts& bucket, const Input& input, int step) {
  std::vector<double> sum(static_cast<std::size_t>(bucket.count));
  for (int r = 0; r < ranks; ++r) {
    const Values values = contribution(bucket, input, r, step);
    std::transform(values.begin(), values.end(), sum.begin(), sum.begin(), std::plus<>());
  }
  return sum;
}

double norm(const std::vector<double>& x) {
  return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
}

template <class T>
double largest(const std::vector<T>& x) {
  double most = 0;
  for (const T v : x)
    most = std::max(most, std::abs(double{v}));
  return most;
}

bool is_collective(const Record& record) {
  return record.operation.kind == OperationKind::collective;
}

// What a rank sends for what was recorded, by the collectives that send the least.
double volume(const Recording& recording, int ranks) {
  double bytes = 0;
  for (const Record& record : recording.records()) {
    if (!is_collective(record)) continue;
    const Operation& o = record.operation;
    const bool twice = std::string(o.name) == "all_reduce";
    bytes += (twice ? 2.0 : 1.0) * std::max(o.bytes_read, o.bytes_written) * (ranks - 1) / ranks;
  }
  return bytes;
}

bool same_bits(const Values& a, const Values& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), 4 * a.size()) == 0);
}

}  // namespace

TEST_CASE("all ranks end with the same bits, and what travels is what the method states",
          "[unit]") {
  for (const CompressionMethod* method : compressions()) {
    for (int ranks = 1; ranks <= 5; ++ranks) {
      for (const std::int64_t count : {0, 1, 3, 257, 1000, 5003}) {
        INFO(method->name << ", " << ranks << " ranks, " << count);
        const BucketParts bucket = parts_of(count);
        Outcome outcome;
        run(outcome, {options_of(method->name), ranks, bucket, noise, 2});
        for (const auto& step : outcome.sums) {
          for (const Values& sum : step)
            CHECK(same_bits(sum, step[0]));
        }
        CHECK(volume(outcome.recording, ranks) ==
              Approx(2 * method->bytes_sent(ranks, bucket, options_of(method->name))));
      }
    }
  }
}

TEST_CASE("the dry device records what would run", "[unit]") {
  for (const CompressionMethod* method : compressions()) {
    INFO(method->name);
    const BucketParts bucket = parts_of(1000);
    Outcome outcome;
    run(outcome, {options_of(method->name), 3, bucket, noise});
    const auto device = make_dry_device();
    const auto group = Communicator::dry(*device, 3, 0);
    const auto compression = make_compression(group, *device, bucket, options_of(method->name));
    Recording recording;
    device->record_into(&recording);
    Tensor data = Tensor::empty(*device, {bucket.count});
    compression->all_reduce(group, data).wait();

    REQUIRE(recording.records().size() == outcome.recording.records().size());
    for (std::size_t i = 0; i < recording.records().size(); ++i) {
      const Operation &dry = recording.records()[i].operation,
                      &ran = outcome.recording.records()[i].operation;
      CHECK(std::string(dry.name) == ran.name);
      CHECK(dry.shape == ran.shape);
      CHECK(dry.bytes_read == ran.bytes_read);
      CHECK(dry.bytes_written == ran.bytes_written);
      CHECK(recording.records()[i].stream == StreamKind::communication);
    }
  }
}

TEST_CASE("options that change what travels are in a method's text", "[unit]") {
  const BucketParts bucket = parts_of(1000);
  for (const CompressionMethod* method : compressions()) {
    INFO(method->name);
    const CompressionOptions usual{.method = method->name, .rank = 2, .share = 0.1};
    for (const auto& [rank, share] : {std::pair{3, 0.1}, std::pair{2, 0.2}}) {
      const CompressionOptions other{.method = method->name, .rank = rank, .share = share};
      const bool same =
          method->bytes_sent(3, bucket, usual) == method->bytes_sent(3, bucket, other);
      CHECK((text_of(usual) == text_of(other)) == same);
    }
  }
}

TEST_CASE("zeros stay zeros", "[unit]") {
  for (const CompressionMethod* method : compressions()) {
    INFO(method->name);
    const auto zero = [](int, int, std::int64_t) { return 0.0f; };
    for (const Values& sum : sums_of(method->name, 3, parts_of(1000), zero, 3))
      CHECK(sum == Values(1000));
  }
}

TEST_CASE("a value that is no number shows in that sum, and not in later ones", "[unit]") {
  const auto input = [](int rank, int step, std::int64_t i) {
    const bool bad = rank == 1 && step == 1 && i == 40;
    return bad ? std::numeric_limits<float>::quiet_NaN() : noise(rank, step, i);
  };
  const auto finite = [](const Values& sum) {
    return std::all_of(sum.begin(), sum.end(), [](float x) { return std::isfinite(x); });
  };
  for (const CompressionMethod* method : compressions()) {
    INFO(method->name);
    const auto sums = sums_of(method->name, 3, parts_of(1000), input, 4);
    CHECK(finite(sums[0]));
    CHECK(std::isnan(sums[1][40]));
    CHECK(finite(sums[2]));
    CHECK(finite(sums[3]));
    CHECK(largest(sums[3]) > 0.1);
  }
}

namespace {

// How far each element of the first sum may be from the exact one, as the header of the method
// says; float32 sums add their own rounding.
class Bounds {
 public:
  Bounds(int ranks, const BucketParts& bucket)
      : ranks_(ranks), exact_(exact_sum(ranks, bucket, noise, 0)) {
    for (int r = 0; r < ranks; ++r) {
      values_.push_back(contribution(bucket, noise, r, 0));
      least_sent_.push_back(least_of_tenth(values_.back()));
    }
  }
  const std::vector<double>& exact() const { return exact_; }

  double of(const std::string& method, std::size_t i) const {
    const double sum = rounding(0x1p-24 * ranks_, i);
    if (method == "bfloat16") return sum + rounding(2.01 * 0x1p-8, i);
    if (method == "float16") return sum + rounding(2.01 * 0x1p-11, i) + (ranks_ + 1) * 0x1p-25;
    if (method == "int8") return sum + half_steps();
    if (method == "top_k") return sum + left_behind(i);
    return sum;  // none
  }
  static bool know(const std::string& method) {
    const std::set<std::string> known{"none", "bfloat16", "float16", "int8", "top_k"};
    return known.count(method) > 0;
  }

 private:
  // A share of the magnitudes that were added.
  double rounding(double share, std::size_t i) const {
    double magnitudes = 0;
    for (const Values& v : values_)
      magnitudes += std::abs(double{v[i]});
    return share * magnitudes;
  }
  // Of each contribution, and of the sum of what arrived.
  double half_steps() const {
    double steps = 0;
    for (const Values& v : values_)
      steps += 0.5 * largest(v) / 127;
    return 1.001 * (steps + 0.5 * (largest(exact_) + steps) / 127);
  }
  // What was not among the largest tenth of its rank.
  double left_behind(std::size_t i) const {
    double left = 0;
    for (std::size_t r = 0; r < values_.size(); ++r) {
      const double size = std::abs(double{values_[r][i]});
      if (size < least_sent_[r]) left += size;
    }
    return left;
  }
  static double least_of_tenth(Values sizes) {
    for (float& x : sizes)
      x = std::abs(x);
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    return sizes[static_cast<std::size_t>(std::ceil(0.1 * double(sizes.size()))) - 1];
  }

  int ranks_;
  std::vector<Values> values_;
  std::vector<double> least_sent_{};  // top_k
  std::vector<double> exact_;
};

}  // namespace

TEST_CASE("a sum is as near to the exact one as the method states", "[unit]") {
  for (const CompressionMethod* method : compressions()) {
    if (!Bounds::know(method->name)) continue;  // no bound by element: below
    for (const int ranks : {1, 2, 3, 5}) {
      for (const std::int64_t count : {1, 2, 257, 5003}) {
        const BucketParts bucket = parts_of(count);
        const Bounds bounds(ranks, bucket);
        const Values sum = sums_of(method->name, ranks, bucket, noise)[0];
        double worst = 0;  // error by bound
        for (std::size_t i = 0; i < sum.size(); ++i) {
          const double error = std::abs(sum[i] - bounds.exact()[i]);
          const double bound = ranks == 1 ? 0 : bounds.of(method->name, i);
          worst = std::max(worst, error > 0 ? error / bound : 0);
        }
        INFO(method->name << ", " << ranks << " ranks, " << count);
        CHECK(worst <= 1);
      }
    }
  }
}

// In the mean over a few sums, for what is held back comes later.
TEST_CASE("the sums of every method come nearer to the exact ones than none at all", "[unit]") {
  constexpr int kSteps = 6, kRanks = 3;
  for (const CompressionMethod* method : compressions()) {
    const BucketParts bucket = parts_of(5003);
    std::vector<double> missed(5003), exact(5003);
    const auto sums = sums_of(method->name, kRanks, bucket, noise, kSteps);
    for (int step = 0; step < kSteps; ++step) {
      const auto wanted = exact_sum(kRanks, bucket, noise, step);
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        exact[i] += wanted[i];
        missed[i] += wanted[i] - double{sums[static_cast<std::size_t>(step)][i]};
      }
    }
    INFO(method->name);
    CHECK(norm(missed) < norm(exact));
  }
}

TEST_CASE("int8 has steps of its own for each 256 elements", "[unit]") {
  // A large run beside a small one: the small one keeps its digits.
  const auto input = [](int, int, std::int64_t i) { return i < 256 ? 1e6f : 1e-6f * float(i % 9); };
  const BucketParts bucket{.count = 1024, .parts = {{0, 1, 1024}}};  // 512 of each rank
  const Values sum = sums_of("int8", 2, bucket, input)[0];
  for (std::size_t i = 256; i < 512; ++i)
    CHECK(std::abs(sum[i] - 2e-6 * double(i % 9)) <= 2 * 8e-6 / 127);
}

TEST_CASE("top-k sends the largest, and of equals the first", "[unit]") {
  const auto input = [](int rank, int, std::int64_t i) {
    return i == 7 + rank ? -5.0f : i < 4 ? 1.0f : 0.5f;
  };
  Values wanted(20);  // two of each rank
  wanted[7] = wanted[8] = -5;
  wanted[0] = 2;
  CHECK(sums_of("top_k", 2, {.count = 20, .parts = {{0, 1, 20}}}, input)[0] == wanted);
}

TEST_CASE("powersgd is exact where the sum has no more than its rank", "[unit]") {
  constexpr std::int64_t kRows = 23, kColumns = 17;
  // Rows of the same two directions on all ranks, in amounts that change.
  const auto input = [](int rank, int step, std::int64_t i) {
    const std::int64_t row = i / kColumns, column = i % kColumns;
    return noise(rank, step, row) * noise(50, 0, column) +
           noise(rank + 100, step, row) * noise(51, 0, column);
  };
  const BucketParts bucket = matrix_of(kRows, kColumns);
  for (const int ranks : {1, 2, 3, 4, 5}) {
    const auto sums = sums_of("powersgd", ranks, bucket, input, 6);
    for (int step = 0; step < 6; ++step) {
      const auto exact = exact_sum(ranks, bucket, input, step);
      double worst = 0;
      for (std::size_t i = 0; i < exact.size(); ++i)
        worst = std::max(worst, std::abs(sums[static_cast<std::size_t>(step)][i] - exact[i]));
      INFO(ranks << " ranks, step " << step);
      CHECK(worst <= 1e-5 * largest(exact));
    }
  }
}

TEST_CASE("powersgd leaves vectors as they are, and small matrices", "[unit]") {
  const BucketParts bucket{.count = 400, .parts = {{0, 300, 1}, {304, 1, 40}, {352, 3, 4}}};
  const auto exact = exact_sum(3, bucket, noise, 0);
  const Values sum = sums_of("powersgd", 3, bucket, noise)[0];
  for (std::size_t i = 0; i < exact.size(); ++i)
    CHECK(std::abs(sum[i] - exact[i]) <= 3 * 3 * 0x1p-24);
}

TEST_CASE("with a warm start powersgd finds the largest directions", "[unit]") {
  // Singular values 1, 1/2, 1/4, ...: two of them are all but 1/sqrt(12) of the norm.
  constexpr std::int64_t kSize = 16;
  const auto input = [](int, int, std::int64_t i) {
    return i / kSize == i % kSize ? std::ldexp(1.0f, -static_cast<int>(i / kSize)) : 0.0f;
  };
  const Values sum = sums_of("powersgd", 2, matrix_of(kSize, kSize), input, 8).back();
  CHECK(sum[0] > 1.8f);
}

namespace {

// The distance between the running sums, compressed and exact, after `steps`. Each rank has a
// direction of its own that stays, so that what is lost without feedback adds up.
std::vector<double> drift(const std::string& method, int ranks, const BucketParts& bucket,
                          int steps) {
  const auto input = [](int rank, int step, std::int64_t i) {
    return 0.5f * (noise(rank, 1 << 20, i) + noise(rank, step, i));
  };
  const auto sums = sums_of(method, ranks, bucket, input, steps);
  std::vector<double> distance(static_cast<std::size_t>(bucket.count));
  for (int s = 0; s < steps; ++s) {
    const auto exact = exact_sum(ranks, bucket, input, s);
    for (std::size_t i = 0; i < distance.size(); ++i)
      distance[i] += sums[static_cast<std::size_t>(s)][i] - exact[i];
  }
  return distance;
}

}  // namespace

// What a rank keeps is at most 2/d times its largest contribution, where a method sends at least
// the share d of the squares (Stich et al., lemma 3.1): no matter how many steps.
TEST_CASE("with error feedback the running sum follows the exact one", "[unit]") {
  constexpr int kRanks = 3, kSide = 24;
  const BucketParts bucket = matrix_of(kSide, kSide);
  const double contribution = kSide * 0.5;  // rms of at most 1/2
  for (const int steps : {30, 300}) {
    INFO(steps << " steps");
    // Elements of at most 1: the loss of each contribution, and of their sum.
    CHECK(largest(drift("int8", kRanks, bucket, steps)) <= 1.02 * 2 * kRanks * 0.5 / 127);
    CHECK(norm(drift("top_k", kRanks, bucket, steps)) <= kRanks * 2 / 0.1 * contribution);
    CHECK(norm(drift("powersgd", kRanks, bucket, steps)) <=
          kRanks * 2 / (2.0 / kSide) * contribution);
  }
}

TEST_CASE("an unknown compression is an error that lists the known ones", "[unit]") {
  const std::string text = config_error([] { find_compression("zip"); });
  CHECK(text.find("collectives.compression = \"zip\" is unknown; allowed: none, bfloat16") == 0);
  for (const CompressionMethod* method : compressions())
    CHECK(text.find(method->name) != std::string::npos);
}
