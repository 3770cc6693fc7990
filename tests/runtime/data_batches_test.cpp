// SPDX-License-Identifier: Apache-2.0
// Batches: what ranks read together is what one rank reads alone, and prefetching changes nothing.
#include <numeric>

#include "runtime/data/batch_loader.hpp"
#include "runtime/data/validation_reader.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"

using namespace lockstep;

namespace {

// Token i is i, so a batch shows which positions it was read from.
class Counting final : public TokenSource {
 public:
  explicit Counting(std::int64_t size, std::int64_t broken_from = 1 << 30)
      : size_(size), broken_from_(broken_from) {}
  std::int64_t size() const override { return size_; }
  std::int64_t vocabulary() const override { return size_; }
  void read(std::int64_t offset, std::span<std::int32_t> into) const override {
    if (offset >= broken_from_) throw ConfigError("broken token");
    std::iota(into.begin(), into.end(), static_cast<std::int32_t>(offset));
  }

 private:
  std::int64_t size_, broken_from_;
};

TokenRange counting(std::int64_t begin, std::int64_t end) {
  return {std::make_shared<Counting>(end), begin, end};
}

void append(HostBatch& all, const HostBatch& part) {
  all.tokens.insert(all.tokens.end(), part.tokens.begin(), part.tokens.end());
  all.targets.insert(all.targets.end(), part.targets.begin(), part.targets.end());
}

constexpr std::int64_t kSequence = 8, kGlobal = 12;

LoaderOptions options(std::int64_t rank, std::int64_t degree, std::int64_t micro) {
  LoaderOptions o;
  o.global = kGlobal, o.micro = micro;
  o.data_rank = rank, o.data_degree = degree;
  o.sequence = kSequence;
  return o;
}

}  // namespace

TEST_CASE("targets are the tokens that come next, inside the range") {
  const BatchReader reader(counting(100, 200), options(0, 1, 0));
  for (std::int64_t step = 0; step < 5; ++step) {
    const HostBatch batch = reader.read(step, 0);
    CHECK(batch.batch == kGlobal);
    CHECK(batch.sequence == kSequence);
    CHECK(batch.first_sample == step * kGlobal);
    REQUIRE(batch.tokens.size() == kGlobal * kSequence);
    REQUIRE(batch.targets.size() == kGlobal * kSequence);
    for (std::size_t i = 0; i < batch.tokens.size(); ++i) {
      CHECK(batch.targets[i] == batch.tokens[i] + 1);
      CHECK((batch.tokens[i] >= 100 && batch.targets[i] < 200));
    }
  }
}

TEST_CASE("an epoch reads every window once, without overlap") {
  constexpr std::int64_t kWindows = 24;  // two steps, and some tokens that fill no window
  const BatchReader reader(counting(0, kWindows * kSequence + 5), options(0, 1, 0));
  std::vector<int> seen(kWindows * kSequence);
  for (const std::int64_t step : {0, 1}) {
    for (const std::int32_t token : reader.read(step, 0).tokens)
      ++seen[token];
  }
  for (const int count : seen)
    CHECK(count == 1);
}

TEST_CASE("ranks and micro-batches together are the serial global batch, in its order") {
  const TokenRange range = counting(0, 1000);
  const BatchReader serial(range, options(0, 1, 0));
  for (const std::int64_t degree : {1, 2, 3, 4}) {
    for (const std::int64_t micro : {std::int64_t{0}, std::int64_t{1}, kGlobal / degree}) {
      for (const std::int64_t step : {0, 1, 30}) {
        HostBatch together;
        for (std::int64_t rank = 0; rank < degree; ++rank) {
          const BatchReader reader(range, options(rank, degree, micro));
          for (std::int64_t m = 0; m < reader.split().count; ++m)
            append(together, reader.read(step, m));
        }
        INFO("ranks " << degree << " micro " << micro << " step " << step);
        CHECK(together.tokens == serial.read(step, 0).tokens);
        CHECK(together.targets == serial.read(step, 0).targets);
      }
    }
  }
}

TEST_CASE("the loader hands out what the reader reads, from the first step on") {
  const TokenRange range = counting(0, 1000);
  LoaderOptions o = options(1, 2, 3);
  o.first_step = 7;
  const BatchReader reader(range, o);
  BatchLoader loader(range, o);
  REQUIRE(loader.split().count == 2);
  for (std::int64_t step = 7; step < 30; ++step) {
    for (const std::int64_t m : {0, 1})
      CHECK(loader.next() == reader.read(step, m));
  }
}

TEST_CASE("a loader that nobody reads from ends") {
  const BatchLoader loader(counting(0, 1000), options(0, 1, 1));
  SUCCEED();
}

TEST_CASE("an error of the thread is thrown by next, after the batches before it") {
  LoaderOptions o = options(0, 1, 1);
  // A first window that can be read, then, sooner or later, one that cannot.
  const SampleOrder order(100 / kSequence, o.seed);
  const std::int64_t first = order.window(0) * kSequence;
  const TokenRange broken{std::make_shared<Counting>(101, first + 1), 0, 101};
  BatchLoader loader(broken, o);
  CHECK(loader.next().tokens[0] == first);
  const auto drain = [&] {
    for (int i = 0; i < 100; ++i)
      loader.next();
  };
  CHECK(test::config_error(drain) == "broken token");
  CHECK(test::config_error(drain) == "broken token");  // and again
}

TEST_CASE("a batch that does not divide is named with its factors") {
  const auto error = [](std::int64_t global, std::int64_t micro, std::int64_t data) {
    return test::config_error([&] { split_batch(global, micro, data); });
  };
  CHECK(error(8, 0, 3) == "batch.global = 8 is not a multiple of parallel.data = 3");
  CHECK(error(8, 3, 2) ==
        "batch.global = 8 is not a multiple of parallel.data x batch.micro = 2 x 3 = 6");
  CHECK(error(4, 8, 1) ==
        "batch.global = 4 is not a multiple of parallel.data x batch.micro = 1 x 8 = 8");
  const BatchSplit split = split_batch(24, 4, 3);
  CHECK(split.count == 2);
  CHECK(split.first_sample(10, 2, 1) == 10 * 24 + 2 * 8 + 4);
}

TEST_CASE("a sequence longer than the data is refused with both numbers") {
  CHECK(
      test::config_error([] { BatchReader(counting(0, 8), options(0, 1, 0)); }) ==
      "model.sequence = 8 needs 9 tokens, but the training part of data.path has 8; use more data "
      "or a shorter sequence");
  CHECK_NOTHROW(BatchReader(counting(0, 9), options(0, 1, 0)));  // one window, read again and again
  CHECK(test::config_error([] { ValidationReader(counting(0, 8), {.sequence = 8}); }) ==
        "model.sequence = 8 needs 9 tokens, but validation has 8; raise data.validation_share or "
        "use a shorter sequence");
}

TEST_CASE("validation windows are spread evenly from the first to the last token") {
  const ValidationReader reader(counting(50, 151), {.batch = 2, .batches = 3, .sequence = 10});
  REQUIRE(reader.batches() == 3);
  std::vector<std::int32_t> starts;
  for (std::int64_t k = 0; k < 3; ++k) {
    const HostBatch batch = reader.validation_batch(k);
    CHECK(batch.batch == 2);
    CHECK(batch.first_sample == 2 * k);
    starts.push_back(batch.tokens[0]);
    starts.push_back(batch.tokens[10]);
  }
  CHECK(starts == std::vector<std::int32_t>{50, 68, 86, 104, 122, 140});
  CHECK(reader.validation_batch(2).targets.back() == 150);
  CHECK_THROWS_AS(reader.validation_batch(3), LogicError);
}

TEST_CASE("validation repeats windows where the range holds fewer than asked for") {
  const ValidationReader reader(counting(0, 11), {.batch = 2, .batches = 2, .sequence = 10});
  CHECK(reader.validation_batch(0).tokens == reader.validation_batch(1).tokens);
  CHECK_NOTHROW(ValidationReader(counting(0, 50), {.batch = 1, .batches = 1, .sequence = 10})
                    .validation_batch(0));
}
