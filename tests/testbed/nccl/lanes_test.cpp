// SPDX-License-Identifier: Apache-2.0
// Groups of several axes on the fake GPUs: what one axis waits for holds up no other, and what is
// launched is launched in the order of the program.
#include <atomic>
#include <vector>

#include "collectives/communicator.hpp"
#include "runtime/device/cuda_device.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"
#include "tests/testbed/nccl/fake_gpu.hpp"

using namespace lockstep;
using lockstep::test::context;

namespace {

constexpr std::int64_t kCount = 100;

cudaStream_t stream_of(Device& device, Lane lane) {
  return static_cast<cudaStream_t>(device.communication(lane).native());
}

// All ranks along both axes, so that each group has somebody to wait for.
struct Job {
  std::unique_ptr<Device> device = make_cuda_device(0);
  Communicator world, data, tensor;

  explicit Job(double timeout_seconds = 30)
      : world(Communicator::over(context().world(), *device,
                                 {.backend = "nccl", .timeout_seconds = timeout_seconds})),
        data(world.split("data", [](int) { return 0; })),
        tensor(world.split("tensor", [](int) { return 0; })) {}

  Tensor filled(float value) const {
    Tensor t = Tensor::empty(*device, {kCount});
    const std::vector<float> values(kCount, value);
    device->copy_in(t.raw(), values.data(), t.bytes());
    return t;
  }
  std::vector<float> values_of(const Tensor& t) const {
    std::vector<float> values(kCount);
    device->copy_out(values.data(), t.raw(), t.bytes());
    return values;
  }
};

// What is put into a stream behind it waits until it is opened.
class Gate {
 public:
  explicit Gate(cudaStream_t stream) {
    fake::enqueue(stream, [open = open_] { return open->load(); });
  }
  ~Gate() { open(); }
  void open() { *open_ = true; }

 private:
  std::shared_ptr<std::atomic<bool>> open_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace

TEST_CASE("a collective of one axis does not wait for one of another", "[mpi]") {
  if (context().size() == 1) return;
  const Job job;
  const auto ranks = static_cast<float>(context().size());
  Tensor late = job.filled(1), early = job.filled(2);
  Gate gate(stream_of(*job.device, Lane::data));
  Work sum = job.data.all_reduce(late, ReduceOp::sum);
  Work first = job.tensor.all_reduce(early, ReduceOp::sum);
  first.wait();
  CHECK(job.values_of(early) == std::vector<float>(kCount, 2 * ranks));
  CHECK_FALSE(sum.done());
  gate.open();
  sum.wait();
  CHECK(job.values_of(late) == std::vector<float>(kCount, ranks));
}

TEST_CASE("collectives of several axes are launched in the order of the program", "[mpi]") {
  if (context().size() == 1) return;
  const Job job;
  const cudaStream_t data = stream_of(*job.device, Lane::data),
                     tensor = stream_of(*job.device, Lane::tensor);
  CHECK(data != tensor);
  Tensor a = job.filled(1), b = job.filled(1);
  fake::forget_launches();
  {
    Gate gate(data);  // those of the other lane are done before the first of this one
    for (int i = 0; i < 3; ++i) {
      (void)job.data.all_reduce(a, ReduceOp::sum);
      (void)job.tensor.all_reduce(b, ReduceOp::sum);
    }
    job.device->communication(Lane::tensor).synchronize();
  }
  job.device->synchronize_communication();
  CHECK(fake::launches() == std::vector{data, tensor, data, tensor, data, tensor});
}

// The clock of an operation runs from its turn in its lane, not from its launch.
TEST_CASE("an operation that waits for its turn is not late, one that waits for ranks is",
          "[mpi]") {
  if (context().size() == 1) return;
  const Job job(0.3);
  const int aborted = fake::num_aborted();
  Tensor received = job.filled(0), other = job.filled(1);
  const int peer = (context().rank() + 1) % context().size();
  Gate gate(stream_of(*job.device, Lane::data));
  (void)job.data.all_reduce(other, ReduceOp::sum);
  Work never = job.tensor.receive(received, peer);  // nobody sends
  CHECK_THROWS_AS(never.wait(), SystemError);
  CHECK(fake::num_aborted() == aborted + 2);  // the other group was given up
  CHECK_THROWS_AS(job.data.barrier().wait(), SystemError);
  gate.open();
  context().barrier();
}
