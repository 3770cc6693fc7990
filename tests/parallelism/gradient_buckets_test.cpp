// SPDX-License-Identifier: Apache-2.0
#include "parallelism/data/gradient_buckets.hpp"

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
  GradientBuckets buckets({&a, &b}, Communicator::dry(*device, 2, 0), 1);
  CHECK(buckets.num_buckets() == 2);
  buckets.ready(b);
  CHECK_THROWS_AS(buckets.finish(), LogicError);
  CHECK_THROWS_AS(buckets.ready(b), LogicError);
  buckets.ready(a);
  buckets.finish();
  buckets.ready(b);  // the next step
}
