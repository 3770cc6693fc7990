// SPDX-License-Identifier: Apache-2.0
#include "parallelism/data/gradient_buckets.hpp"

#include <string>

#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("buckets fill from the last gradient to the first") {
  const BucketLayout layout = layout_buckets({100, 3, 50, 16}, 64 * sizeof(float));
  CHECK(layout.bucket_counts == std::vector<std::int64_t>{80, 128});
  CHECK(layout.places[3].bucket == 0);
  CHECK(layout.places[3].offset == 0);
  CHECK(layout.places[2].bucket == 0);
  CHECK(layout.places[2].offset == 16);
  CHECK(layout.places[1].bucket == 1);
  CHECK(layout.places[1].offset == 0);
  CHECK(layout.places[0].bucket == 1);
  CHECK(layout.places[0].offset == 16);  // on a line of its own
}

TEST_CASE("a gradient larger than a bucket has one to itself, and no gradient is no bucket") {
  CHECK(layout_buckets({1000, 8}, 64).bucket_counts == std::vector<std::int64_t>{16, 1008});
  CHECK(layout_buckets({}, 64).bucket_counts.empty());
}

TEST_CASE("a gradient that is left out, or comes twice, is noticed") {
  const auto device = make_dry_device();
  Parameter a{.name = "a", .value = Tensor::empty(*device, {10})};
  Parameter b{.name = "b", .value = Tensor::empty(*device, {10})};
  GradientBuckets buckets({{nullptr, {&a, &b}}}, Communicator::dry(*device, 2, 0),
                          {.bucket_bytes = 1});
  CHECK(buckets.num_buckets() == 2);
  buckets.ready(b);
  CHECK_THROWS_AS(buckets.finish(), LogicError);
  CHECK_THROWS_AS(buckets.ready(b), LogicError);
  buckets.ready(a);
  buckets.finish();
  buckets.ready(b);  // the next step
}

TEST_CASE("compression knows the matrices of a bucket, and every bucket has its own") {
  const auto device = make_dry_device();
  Parameter matrix{.name = "m", .value = Tensor::empty(*device, {30, 20})};
  Parameter bias{.name = "b", .value = Tensor::empty(*device, {30})};
  Parameter other{.name = "o", .value = Tensor::empty(*device, {10, 40})};
  GradientBuckets buckets({{nullptr, {&matrix, &bias, &other}}}, Communicator::dry(*device, 2, 0),
                          {.bucket_bytes = 1700, .compression = {.method = "powersgd", .rank = 3}});
  REQUIRE(buckets.num_buckets() == 2);
  Recording recording;
  device->record_into(&recording);
  for (Parameter* p : {&other, &bias, &matrix})
    buckets.ready(*p);
  buckets.finish();

  std::vector<double> floats;
  for (const Record& record : recording.records()) {
    if (record.operation.kind != OperationKind::collective) continue;
    CHECK(std::string(record.operation.name) == "all_reduce");
    floats.push_back(record.operation.bytes_read / sizeof(float));
  }
  CHECK(floats == std::vector<double>{3 * 10 + 30, 3 * 40, 3 * 30, 3 * 20});
}

TEST_CASE("an unknown compression is an error of the configuration") {
  const auto device = make_dry_device();
  Parameter a{.name = "a", .value = Tensor::empty(*device, {10})};
  CHECK_THROWS_AS(GradientBuckets({{nullptr, {&a}}}, Communicator::dry(*device, 2, 0),
                                  {.bucket_bytes = 1, .compression = {.method = "zip"}}),
                  ConfigError);
}
