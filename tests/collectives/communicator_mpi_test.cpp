// SPDX-License-Identifier: Apache-2.0
// Every backend through Communicator, on tensors, between processes.
#include <string>
#include <vector>

#include "collectives/backends/table.hpp"
#include "collectives/communicator.hpp"
#include "tests/collectives/ranks.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

// Every backend, and every algorithm that can be named, with each driver of the communication
// stream. `body` gets the world.
void with_every_world(const std::function<void(const Communicator&, Device&)>& body) {
  for (auto driver : {CommunicationDriver::worker_thread, CommunicationDriver::caller}) {
    auto device = make_cpu_device(driver);
    for (const BackendEntry& backend : backends()) {
      for (const char* algorithm : {"auto", "ring", "recursive_doubling"}) {
        INFO(backend.name << " " << algorithm << " driver " << static_cast<int>(driver));
        body(Communicator::world(
                 context(), *device,
                 {.backend = backend.name, .algorithm = algorithm, .timeout_seconds = 30}),
             *device);
      }
    }
  }
}

template <class T>
Tensor tensor_of(Device& device, const std::vector<T>& values) {
  Tensor t = Tensor::empty(device, {static_cast<std::int64_t>(values.size())}, dtype_of<T>());
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

template <class T>
std::vector<T> values_of(const Tensor& t) {
  return {t.data<T>(), t.data<T>() + t.count()};
}

template <class T>
void check_all_reduce(const Communicator& world, Device& device, std::size_t count, ReduceOp op) {
  Tensor data = tensor_of(device, contributions<T>(world.rank(), count));
  world.all_reduce(data, op).wait();
  INFO("count " << count << " op " << static_cast<int>(op) << " " << name_of(dtype_of<T>()));
  CHECK(values_of<T>(data) == serial_reduction<T>(world.size(), count, op));
}

// 0, 1, p-1, p, p+1 and some more; the last goes by rendezvous in every MPI.
std::vector<std::size_t> message_counts(const Communicator& world) {
  auto counts = counts_for(world.size());
  counts.push_back(300'001);
  return counts;
}

}  // namespace

TEST_CASE("all_reduce equals the serial reduction", "[mpi]") {
  with_every_world([](const Communicator& world, Device& device) {
    for (std::size_t count : message_counts(world)) {
      check_all_reduce<float>(world, device, count, ReduceOp::sum);
    }
    for (ReduceOp op : kOps) {
      check_all_reduce<float>(world, device, 33, op);
      check_all_reduce<double>(world, device, 33, op);
      check_all_reduce<std::int32_t>(world, device, 33, op);
      check_all_reduce<std::int64_t>(world, device, 33, op);
      check_all_reduce<std::uint8_t>(world, device, 33, op);
    }
  });
}

TEST_CASE("reduce_scatter and all_gather are the halves of all_reduce", "[mpi]") {
  with_every_world([](const Communicator& world, Device& device) {
    for (std::size_t count : message_counts(world)) {
      const auto mine = contributions<float>(world.rank(), count);
      const auto total = serial_reduction<float>(world.size(), count, ReduceOp::sum);
      const auto shard_of_total = block(total, world.size(), world.rank());
      Tensor full = tensor_of(device, mine), gathered = tensor_of(device, mine);
      Tensor shard = tensor_of(device, std::vector<float>(shard_of_total.size()));

      world.reduce_scatter(shard, full, ReduceOp::sum).wait();
      world.all_gather(gathered, shard).wait();

      INFO("count " << count);
      CHECK(values_of<float>(shard) == shard_of_total);
      CHECK(values_of<float>(gathered) == total);
      CHECK(values_of<float>(full) == mine);
    }
  });
}

TEST_CASE("a shard may be a view of its own block", "[mpi]") {
  with_every_world([](const Communicator& world, Device& device) {
    constexpr std::size_t kCount = 1003;
    Tensor full = tensor_of(device, contributions<float>(world.rank(), kCount));
    const Block own = block_bounds(kCount, world.size(), world.rank());
    Tensor shard = full.slice(static_cast<std::int64_t>(own.begin),
                              static_cast<std::int64_t>(own.begin + own.count));

    world.reduce_scatter(shard, full, ReduceOp::average).wait();
    world.all_gather(full, shard).wait();

    CHECK(values_of<float>(full) ==
          serial_reduction<float>(world.size(), kCount, ReduceOp::average));
  });
}

TEST_CASE("broadcast brings the data of any root", "[mpi]") {
  with_every_world([](const Communicator& world, Device& device) {
    for (std::size_t count : message_counts(world)) {
      for (int root = 0; root < world.size(); ++root) {
        Tensor data = tensor_of(device, contributions<std::int64_t>(world.rank(), count));
        world.broadcast(data, root).wait();
        INFO("count " << count << " root " << root);
        CHECK(values_of<std::int64_t>(data) == contributions<std::int64_t>(root, count));
      }
    }
  });
}

TEST_CASE("send and receive pass a tensor along the ranks", "[mpi]") {
  with_every_world([](const Communicator& world, Device& device) {
    for (std::size_t count : message_counts(world)) {
      const int me = world.rank();
      Tensor data = tensor_of(device, contributions<float>(me, count));
      if (me > 0) world.receive(data, me - 1).wait();
      if (me + 1 < world.size()) world.send(data, me + 1).wait();
      CHECK(values_of<float>(data) == contributions<float>(0, count));
    }
  });
}

TEST_CASE("many operations of several groups are under way at once", "[mpi]") {
  with_every_world([](const Communicator& world, Device& device) {
    const auto alone = world.split("alone", [](int r) { return r; });
    const auto halves = world.split("halves", [](int r) { return r % 2; });
    const int p = world.size();
    constexpr int kRounds = 10;
    std::vector<Tensor> everyone, mine, half;
    std::vector<Work> works;
    for (int i = 0; i < kRounds; ++i) {
      const std::vector<float> ones(static_cast<std::size_t>(100 * i + 1), 1.0f);
      everyone.push_back(tensor_of(device, ones));
      mine.push_back(tensor_of(device, ones));
      half.push_back(tensor_of(device, ones));
      works.push_back(world.all_reduce(everyone.back(), ReduceOp::sum));
      works.push_back(alone.all_reduce(mine.back(), ReduceOp::sum));
      works.push_back(halves.all_reduce(half.back(), ReduceOp::sum));
      works.push_back(world.barrier());
    }
    for (Work& work : works)
      work.wait();

    const int in_half = world.rank() % 2 == 0 ? (p + 1) / 2 : p / 2;
    for (std::size_t i = 0; i < kRounds; ++i) {
      CHECK(values_of<float>(everyone[i]) == std::vector<float>(100 * i + 1, float(p)));
      CHECK(values_of<float>(mine[i]) == std::vector<float>(100 * i + 1, 1.0f));
      CHECK(values_of<float>(half[i]) == std::vector<float>(100 * i + 1, float(in_half)));
    }
  });
}

TEST_CASE("a job on the dry device has its own ranks", "[mpi]") {
  auto device = make_dry_device();
  const auto world = Communicator::world(context(), *device);
  CHECK(world.rank() == context().rank());
  CHECK(world.size() == context().size());
}

TEST_CASE("a rank that sends nothing is named when the deadline passes", "[mpi]") {
  if (context().size() < 2) return;
  for (const BackendEntry& backend : backends()) {
    auto device = make_cpu_device();
    const auto world =
        Communicator::world(context(), *device, {.backend = backend.name, .timeout_seconds = 0.1});
    std::string message = "nothing was thrown";
    if (world.rank() == 0) {
      Tensor data = Tensor::empty(*device, {5});
      Work work = world.receive(data, 1);
      try {
        work.wait();
      } catch (const SystemError& error) {
        message = error.what();
      }
      INFO(backend.name << ": " << message);
      CHECK(message.find("receive of 5 x float32 in group world") == 0);
      CHECK(message.find("no answer for 0.1 s") != std::string::npos);
      CHECK(message.find("from rank 1") != std::string::npos);
    }
    context().barrier();
  }
}

TEST_CASE("a message of another size is an error", "[mpi]") {
  if (context().size() < 2) return;
  for (std::int64_t sent : {3, 7}) {
    auto device = make_cpu_device();
    const auto world =
        Communicator::world(context(), *device, {.backend = "native", .timeout_seconds = 30});
    Tensor data = Tensor::empty(*device, {world.rank() == 1 ? sent : 5});
    if (world.rank() == 1) world.send(data, 0).wait();
    if (world.rank() == 0) CHECK_THROWS_AS(world.receive(data, 1).wait(), SystemError);
    context().barrier();
  }
}

TEST_CASE("unknown backends and algorithms are errors of the configuration", "[mpi]") {
  auto device = make_cpu_device();
  CHECK_THROWS_AS(Communicator::world(context(), *device, {.backend = "smoke"}), ConfigError);
  CHECK_THROWS_AS(Communicator::world(context(), *device, {.algorithm = "signals"}), ConfigError);
}
