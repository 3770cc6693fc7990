// SPDX-License-Identifier: Apache-2.0
// Communicators without MPI: on the dry device, and over threads with a worker per rank.
#include "collectives/communicator.hpp"

#include <string>

#include "tests/collectives/ranks.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;
using namespace lockstep::test;

TEST_CASE("a dry communicator records what would run, and moves nothing", "[unit]") {
  auto device = make_dry_device();
  Recording recording;
  device->record_into(&recording);
  const auto world = Communicator::dry(*device, 3072, 7);
  Tensor large = Tensor::empty(*device, {1 << 20}), small = Tensor::empty(*device, {4});

  world.all_reduce(large, ReduceOp::sum).wait();
  world.all_reduce(small, ReduceOp::sum).wait();

  REQUIRE(recording.records().size() == 2);
  const Record& first = recording.records()[0];
  CHECK(first.stream == StreamKind::communication);
  CHECK(first.operation.kind == OperationKind::collective);
  CHECK(std::string(first.operation.name) == "all_reduce");
  CHECK(first.operation.shape[0] == 1 << 20);
  CHECK(first.operation.bytes_read == 4 << 20);
  CHECK(first.operation.ranks == 3072);
  CHECK(std::string(first.operation.detail) == "native/double_tree");
  CHECK(std::string(recording.records()[1].operation.detail) == "native/recursive_doubling");
}

TEST_CASE("a dry communicator takes the names of the backend that it stands for", "[unit]") {
  auto device = make_dry_device();
  Recording recording;
  device->record_into(&recording);
  Tensor data = Tensor::empty(*device, {8});
  Communicator::dry(*device, 2, 0, {.backend = "mpi"}).broadcast(data, 0).wait();
  CHECK(std::string(recording.records()[0].operation.detail) == "mpi");
  CHECK_THROWS_AS(Communicator::dry(*device, 2, 0, {.backend = "smoke"}), ConfigError);
  CHECK_THROWS_AS(Communicator::dry(*device, 2, 0, {.algorithm = "signals"}), ConfigError);
}

TEST_CASE("a dry communicator splits by arithmetic", "[unit]") {
  auto device = make_dry_device();
  const auto world = Communicator::dry(*device, 10, 7);
  const auto third = world.split("third", [](int r) { return r % 3; });
  CHECK(third.size() == 3);  // 1 4 7
  CHECK(third.rank() == 2);
  CHECK(third.name() == "third");
}

TEST_CASE("memory of a dry communicator is counted", "[unit]") {
  auto device = make_dry_device();
  const auto bucket = Communicator::dry(*device, 4, 0).allocate(1000);
  CHECK(device->memory().allocated == 1000);
}

TEST_CASE("operations run behind each other on the worker of each rank", "[unit]") {
  constexpr int kRanks = 4;
  std::vector<float> results(kRanks);
  on_ranks(kRanks, [&](Transport& net) {
    auto device = make_cpu_device();
    const int me = net.rank();
    const auto world = Communicator::over(net.split(0, me), *device);
    Tensor data = Tensor::empty(*device, {100});
    for (float& x : data.values())
      x = static_cast<float>(me + 1);
    Work summed = world.all_reduce(data, ReduceOp::sum);        // 10
    Work averaged = world.all_reduce(data, ReduceOp::average);  // 10
    Work doubled =
        world.split("pairs", [](int r) { return r / 2; }).all_reduce(data, ReduceOp::sum);  // 20
    doubled.wait();
    if (!summed.done() || !averaged.done()) throw LogicError("a later operation overtook");
    results[static_cast<std::size_t>(me)] = data.values()[99];
  });
  for (float result : results)
    CHECK(result == 20);
}

TEST_CASE("a failed operation says what it was, and nothing runs behind it", "[unit]") {
  auto device = make_cpu_device();
  auto ranks = make_thread_transports(2);
  const auto lonely = Communicator::over(std::move(ranks[0]), *device,
                                         {.timeout_seconds = 0.05});  // rank 1 never calls
  const auto alone = Communicator::over(std::move(make_thread_transports(1)[0]), *device);
  Tensor data = Tensor::empty(*device, {4}), other = Tensor::empty(*device, {4});
  Tensor copy = Tensor::empty(*device, {4});
  other.data()[0] = 5;
  copy.data()[0] = 1;

  Work failing = lonely.all_reduce(data, ReduceOp::sum);
  Work behind = alone.all_gather(copy, other);

  std::string message;
  try {
    failing.wait();
  } catch (const SystemError& error) {
    message = error.what();
  }
  INFO(message);
  CHECK(message.find("all_reduce of 4 x float32 in group world of 2 ranks "
                     "(native/shared_flat): no answer in time") == 0);
  CHECK_THROWS_AS(behind.wait(), SystemError);
  CHECK(copy.data()[0] == 1);
}
