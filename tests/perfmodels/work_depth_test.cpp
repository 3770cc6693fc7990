// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/work_depth.hpp"

#include "perfmodels/record_step.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

WorkDepth seconds(const Operation& op) {
  return {op.flops, op.flops};  // each kernel is one piece
}

}  // namespace

TEST_CASE("a product over k terms is as deep as a tree of k leaves") {
  const Operation product{
      .name = "product", .kind = OperationKind::gemm, .shape = {4, 4, 1024}, .flops = 32768};
  CHECK(work_depth_of(product).work == 32768);
  CHECK(work_depth_of(product).depth == 11);
  const Operation add{.name = "add", .shape = {1000}, .flops = 3000};
  CHECK(work_depth_of(add).depth == 3 + 10);
  // Nothing is deeper than its work.
  CHECK(work_depth_of(Operation{.name = "one", .shape = {1}, .flops = 1}).depth == 1);
}

TEST_CASE("streams run side by side except where one waits for the other") {
  Recording recording;
  const auto add = [&](double cost, StreamKind stream) {
    recording.add({.name = "x", .flops = cost}, stream);
  };
  using enum StreamKind;
  add(2, compute);  // ends at 2
  recording.wait(communication, recording.last(compute));
  add(10, communication);  // 2 to 12
  add(3, compute);         // to 5
  CHECK(work_depth_of(recording, seconds).depth == 12);
  recording.wait(compute, recording.last(communication));
  add(4, compute);  // 12 to 16
  const WorkDepth all = work_depth_of(recording, seconds);
  CHECK(all.work == 19);
  CHECK(all.depth == 16);
  CHECK(all.least(1) == 19);
  CHECK(all.least(4) == 16);
  CHECK(all.most(1) == 19);
  CHECK(all.most(3) == Approx(1 + 16));
}

TEST_CASE("a step has the work of its kernels, and more parallelism in larger batches") {
  JobConfig job = test::small_job();
  const auto small = record_step(job, 1);
  const WorkDepth a = work_depth_of(small->recording);
  CHECK(a.work >= model_flops(small->recording));
  CHECK(a.depth > 100);
  CHECK(a.parallelism() > 100);
  job.batch.global *= 16;
  const WorkDepth b = work_depth_of(record_step(job, 1)->recording);
  CHECK(b.work > 14 * a.work);
  CHECK(b.depth < 1.2 * a.depth);
}
