// SPDX-License-Identifier: Apache-2.0
// Every backend through Communicator, on tensors, between processes.
#include <string>
#include <vector>

#include "tests/collectives/worlds.hpp"
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
    for (const CommunicatorOptions& options : every_service(context().world())) {
      INFO(text_of(options) << " driver " << static_cast<int>(driver));
      body(Communicator::world(context(), *device, options), *device);
    }
  }
}

Tensor ones_of(Device& device, std::int64_t count) {
  Tensor t = Tensor::empty(device, {count});
  std::fill(t.values().begin(), t.values().end(), 1.0f);
  return t;
}

template <class T>
std::vector<T> values_of(const Tensor& t) {
  return {t.data<T>(), t.data<T>() + t.count()};
}

}  // namespace

TEST_CASE("many operations of several groups are under way at once", "[mpi]") {
  with_every_world([](const Communicator& world, Device& device) {
    const auto alone = world.split("alone", [](int r) { return r; });
    const auto halves = world.split("halves", [](int r) { return r % 2; });
    const int p = world.size();
    constexpr int kRounds = 10;
    std::vector<Tensor> everyone, mine, half;
    std::vector<Work> works;
    for (int i = 0; i < kRounds; ++i) {
      everyone.push_back(ones_of(device, 100 * i + 1));
      mine.push_back(ones_of(device, 100 * i + 1));
      half.push_back(ones_of(device, 100 * i + 1));
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
      CHECK(message.find("not complete after ") != std::string::npos);
      CHECK(message.find("rank 1 (pid ") != std::string::npos);
      CHECK(message.find("has not come: it has called nothing yet") != std::string::npos);
    }
    context().barrier();
  }
}

TEST_CASE("unknown backends and algorithms are errors of the configuration", "[mpi]") {
  auto device = make_cpu_device();
  CHECK_THROWS_AS(Communicator::world(context(), *device, {.backend = "smoke"}), ConfigError);
  CHECK_THROWS_AS(Communicator::world(context(), *device, {.algorithm = "signals"}), ConfigError);
}
