// SPDX-License-Identifier: Apache-2.0
// What goes wrong between GPUs, on the fake ones: an error that NCCL finds while it waits, one at
// launch, a rank that does not come, ranks that share a GPU; and that nothing is left behind.
#include <string>

#include "collectives/backends/nccl/nccl.hpp"
#include "collectives/communicator.hpp"
#include "collectives/wait_errors.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/device/cuda_device.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"
#include "tests/testbed/nccl/fake_gpu.hpp"

using namespace lockstep;
using lockstep::test::context;

namespace {

Device& gpu() {
  static const auto the_gpu = make_cuda_device(0);
  return *the_gpu;
}

// Without the flight recorder, so that errors come as the backend throws them.
Communicator group(double timeout_seconds = 30) {
  return Communicator::over(context().world(), gpu(),
                            {.backend = "nccl", .timeout_seconds = timeout_seconds});
}

// What waiting for `work` throws.
std::string error_of(Work work) {
  try {
    work.wait();
  } catch (const SystemError& error) {
    return error.what();
  }
  return "";
}

bool holds(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// A device of its own: after an error its queue serves nothing more.
struct Fresh {
  std::unique_ptr<Device> device = make_cuda_device(0);
  Communicator group;
  Tensor data;
  explicit Fresh(double timeout_seconds)
      : group(Communicator::over(context().world(), *device,
                                 {.backend = "nccl", .timeout_seconds = timeout_seconds})),
        data(Tensor::empty(*device, {100})) {}
};

}  // namespace

TEST_CASE("an error of NCCL names it, the rank and the group, and the communicator is aborted",
          "[mpi]") {
  if (context().size() == 1) return;
  Fresh fresh(30);
  const int before = fake::num_aborted();
  context().barrier();
  fake::set_async_error(ncclRemoteError);
  const std::string error = error_of(fresh.group.all_reduce(fresh.data, ReduceOp::sum));
  fake::set_async_error(ncclSuccess);
  INFO(error);
  CHECK(holds(error, "remote process exited or there was a network error"));
  CHECK(holds(error, "so said the fake NCCL"));
  CHECK(holds(error, ("rank " + std::to_string(context().rank()) + " of ").c_str()));
  CHECK(holds(error, "all_reduce of 100 x float32 in group world"));
  CHECK(fake::num_aborted() == before + 1);
}

TEST_CASE("an error at launch is the operation's", "[mpi]") {
  if (context().size() == 1) return;
  Fresh fresh(30);
  fake::fail_next_launch(ncclUnhandledCudaError);
  const std::string error = error_of(fresh.group.broadcast(fresh.data, 0));
  INFO(error);
  CHECK(holds(error, "broadcast of 100 x float32"));
  CHECK(holds(error, "an error of the fake NCCL"));
}

// NCCL holds a communicator until the group ends: the fake one ends a process that aborts it
// before.
TEST_CASE("an error within a group aborts the communicator behind the group", "[mpi]") {
  if (context().size() == 1) return;
  Fresh fresh(30);
  const int before = fake::num_aborted();
  fake::fail_next_call(ncclInvalidArgument);
  const std::string error = error_of(fresh.group.broadcast(fresh.data, 0));
  INFO(error);
  CHECK(holds(error, "an error of the fake NCCL"));
  CHECK(fake::num_aborted() == before + 1);
}

// Nobody sends: the kernel that waits is told to end, so that the GPU is free.
TEST_CASE("after the deadline an operation is aborted", "[mpi]") {
  if (context().size() == 1) return;
  Fresh fresh(0.3);
  const int before = fake::num_aborted();
  const double begin = now();
  const int other = (context().rank() + 1) % context().size();
  const std::string error = error_of(fresh.group.receive(fresh.data, other));
  INFO(error);
  CHECK(holds(error, "no answer in time"));
  CHECK(holds(error, ("receiving 400 bytes from rank " + std::to_string(other)).c_str()));
  CHECK(now() - begin < 20);
  CHECK(fake::num_aborted() == before + 1);
  // The stream is free again, and the group is not served any more.
  CHECK(cudaStreamSynchronize(static_cast<cudaStream_t>(fresh.device->communication().native())) ==
        cudaSuccess);
  context().barrier();
}

TEST_CASE("ranks that share a GPU are told, and auto takes mpi", "[mpi]") {
  if (context().size() == 1) return;
  gpu();
  fake::share_one_gpu(true);
  std::string error;
  try {
    (void)group();
  } catch (const ConfigError& caught) {
    error = caught.what();
  }
  INFO(error);
  CHECK(holds(error, "ranks 0 and 1 share a GPU"));
  const auto chosen = Communicator::over(context().world(), gpu(), {.backend = "auto"});
  CHECK(std::string(chosen.backend().choose(barrier_call()).label) == "mpi");
  fake::share_one_gpu(false);
  const auto own = Communicator::over(context().world(), gpu(), {.backend = "auto"});
  CHECK(std::string(own.backend().choose(barrier_call()).label) == "nccl");
}

TEST_CASE("memory from allocate() is registered while it lives, and communicators end", "[mpi]") {
  if (context().size() == 1) return;
  const int communicators = fake::num_communicators(), aborted = fake::num_aborted();
  {
    const Communicator world = group();
    const auto memory = world.allocate(1 << 12);
    CHECK(fake::num_registered() == 1);
    const Communicator part = world.split("part", [](int r) { return r / 2; });
    CHECK(part.size() <= 2);
  }
  CHECK(fake::num_registered() == 0);
  CHECK(fake::num_communicators() == communicators);
  CHECK(fake::num_aborted() == aborted);
}
