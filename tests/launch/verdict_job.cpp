// SPDX-License-Identifier: Apache-2.0
// verdict_job BACKEND SECONDS HOW: a job whose last rank goes wrong in the way that HOW names;
// verdict_test.py looks at how it ends. Every rank says its pid first.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <unistd.h>

#include "collectives/communicator.hpp"
#include "launch/job.hpp"

using namespace lockstep;

namespace {

constexpr int kGoodRounds = 3;
constexpr std::int64_t kCount = 100000;  // messages of that size need both sides

void say(const Context& context, const char* what) {
  std::printf("rank %d pid %d %s\n", context.rank(), static_cast<int>(getpid()), what);
  std::fflush(stdout);
}

void go_wrong(const std::string& how, const Communicator& world, Device& device) {
  Tensor data = Tensor::empty(device, {kCount}), small = Tensor::empty(device, {10});
  Tensor integers = Tensor::empty(device, {kCount}, DType::int32);
  if (how == "operation") world.broadcast(data, 0).wait();
  if (how == "count") world.all_reduce(small, ReduceOp::sum).wait();
  if (how == "type") world.all_reduce(integers, ReduceOp::sum).wait();
  if (how == "reduction") world.all_reduce(data, ReduceOp::max).wait();
  if (how == "message") world.send(small, 0).wait();
  if (how == "sleep") std::this_thread::sleep_for(std::chrono::hours(1));
}

int work(const Context& context, const std::string& backend, double seconds,
         const std::string& how) {
  say(context, "starts");
  auto device = make_cpu_device();
  const auto world =
      Communicator::world(context, *device, {.backend = backend, .timeout_seconds = seconds});
  const auto all = world.split("data", [](int) { return 0; });
  const int last = world.size() - 1;
  Tensor data = Tensor::empty(*device, {kCount}), ten = Tensor::empty(*device, {10});
  for (int round = 0; how == "loop" || round < kGoodRounds; ++round) {
    for (float& x : data.values())
      x = 1;
    all.all_reduce(data, ReduceOp::sum).wait();
    world.broadcast(ten, 0).wait();
    if (data.values()[kCount - 1] != static_cast<float>(world.size()))
      throw LogicError("wrong sum");
    if (round == kGoodRounds - 1) say(context, "is ready");
  }
  if (world.rank() == last) {
    if (how == "leave") return 0;
    if (how == "fail") throw SystemError("disk is gone");
    go_wrong(how, world, *device);
  }
  if (how == "message") {
    if (world.rank() == 0) world.receive(data, last).wait();
  }
  if (how != "none") world.all_reduce(data, ReduceOp::sum).wait();
  return 0;
}

}  // namespace

int main(int, char** argv) {
  return run_job([argv](const Context& context) {
    return work(context, argv[1], std::atof(argv[2]), argv[3]);
  });
}
