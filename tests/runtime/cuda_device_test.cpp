// SPDX-License-Identifier: Apache-2.0
// The device `cuda` as every device is used: memory, copies, streams, events, times. On a GPU
// (label gpu), and once more on the emulated one of tests/testbed/cuda (label unit).
#include "runtime/device/cuda_device.hpp"

#include <cstdio>
#include <numeric>
#include <stdexcept>

#include "runtime/base/clock.hpp"
#include "runtime/base/cuda_built.hpp"
#include "runtime/device/cuda_info.hpp"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/math.hpp"
#include "runtime/tensor/transfer.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

bool no_gpu() {
  const CudaInfo info = cuda_info();
  if (info.devices == 0) std::printf("skipped: no GPU: %s\n", info.note.c_str());
  return info.devices == 0;
}

std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), -3.0f);
  return values;
}

}  // namespace

TEST_CASE("a GPU that is not there is an error that says so", "[gpu]") {
  CHECK_THROWS_AS(make_cuda_device(1000), ConfigError);
  CHECK_THROWS_WITH(make_cuda_device(-1), ContainsSubstring("there is no GPU"));
}

TEST_CASE("elements come back as they went, of one piece and of many", "[gpu]") {
  if (no_gpu()) return;
  const auto device = make_cuda_device(0);
  for (const std::int64_t n : {0, 1, 1000, 1 << 20, 5 * (1 << 20) + 3}) {
    INFO(n);
    Tensor t = Tensor::empty(*device, {n});
    std::vector<float> values = ramp(static_cast<std::size_t>(n));
    upload(t, values.data(), t.bytes());
    const std::vector<float> sent = values;
    std::fill(values.begin(), values.end(), 0.0f);  // what was read may change
    CHECK(read_values(t) == sent);
  }
}

TEST_CASE("memory is counted by use, and its peak", "[gpu]") {
  if (no_gpu()) return;
  const auto device = make_cuda_device(0);
  const std::size_t before = device->memory().allocated;
  {
    const MemoryScope scope(*device, MemoryUse::gradients);
    const Tensor t = Tensor::empty(*device, {1 << 18});
    CHECK(device->memory().allocated == before + t.bytes());
    CHECK(device->holdings() == "0.00 GiB gradients");
    CHECK(device->memory().reserved >= t.bytes());
  }
  CHECK(device->memory().allocated == before);
  CHECK(device->memory().at_peak[static_cast<std::size_t>(MemoryUse::gradients)] == 1 << 20);
}

TEST_CASE("a GPU that is full says what it holds and what to change", "[gpu]") {
  if (no_gpu()) return;
  const auto device = make_cuda_device(0);
  const MemoryScope scope(*device, MemoryUse::parameters);
  const Tensor held = Tensor::empty(*device, {1 << 28}, DType::uint8);
  const std::int64_t too_many = std::int64_t{1} << 44;
  CHECK_THROWS_AS(Tensor::empty(*device, {too_many}, DType::uint8), SystemError);
  CHECK_THROWS_WITH(Tensor::empty(*device, {too_many}, DType::uint8),
                    ContainsSubstring("GPU 0 is out of memory: 16384.00 GiB more were asked for") &&
                        ContainsSubstring("this rank holds 0.25 GiB parameters") &&
                        ContainsSubstring("batch.micro"));
  const Tensor next = Tensor::empty(*device, {1000});  // the device goes on
}

TEST_CASE("a kernel is recorded with the times of the GPU", "[gpu]") {
  if (no_gpu()) return;
  const auto device = make_cuda_device(0);
  Recording recording;
  const double begin = now();
  device->record_into(&recording);
  Tensor x = Tensor::empty(*device, {1000});
  const std::vector<float> values = ramp(1000);
  upload(x, values.data(), x.bytes());
  Tensor y = Tensor::empty(*device, {1000});
  {
    const PhaseSpan span(device->compute(), "forward");
    kernels::gelu_forward(y, x, device->compute());
  }
  device->record_into(nullptr);
  REQUIRE(recording.records().size() == 2);
  const Record &kernel = recording.records()[0], &phase = recording.records()[1];
  CHECK(std::string(kernel.operation.name) == "gelu_forward");
  CHECK(phase.operation.shape[0] == 1);
  const double slack = 1e-3;  // two clocks
  CHECK(kernel.begin >= begin - slack);
  CHECK(kernel.end >= kernel.begin);
  CHECK(phase.begin <= kernel.begin + slack);
  CHECK(phase.end + slack >= kernel.end);
  CHECK(phase.end <= now() + slack);
  CHECK(read_values(y)[0] == Approx(kernels::gelu(-3.0f)));
}

TEST_CASE("communication runs beside, in order, and what it throws comes out at its event",
          "[gpu]") {
  if (no_gpu()) return;
  const auto device = make_cuda_device(0);
  Stream &compute = device->compute(), &communication = device->communication();
  std::vector<int> order;
  communication.wait(compute.record());
  communication.run({.name = "first"}, [&] { order.push_back(1); });
  communication.run({.name = "second"}, [&] { order.push_back(2); });
  const Event both = communication.record();
  compute.wait(both);  // returns when the bodies are through; the CUDA stream waits for the rest
  CHECK(order == std::vector<int>{1, 2});
  both.wait();
  CHECK(both.done());
  CHECK(communication.busy_seconds() >= 0);
  CHECK(communication.exposed_seconds() >= 0);

  communication.run({.name = "broken"}, [] { throw std::runtime_error("lost"); });
  const Event lost = communication.record();
  CHECK_THROWS_WITH(compute.wait(lost), "lost");
}

TEST_CASE("tensors that communication holds live until the GPU is through", "[gpu]") {
  if (no_gpu()) return;
  const auto device = make_cuda_device(0);
  Tensor result;
  {
    Tensor x = Tensor::empty(*device, {1000});
    const std::vector<float> values = ramp(1000);
    upload(x, values.data(), x.bytes());
    result = Tensor::empty(*device, {1000});
    device->communication().wait(device->compute().record());
    device->communication().run({.name = "gelu_forward"}, [x, y = result, &device]() mutable {
      if constexpr (kCudaBuilt) kernels::cuda::gelu_forward(y, x, device->communication());
    });
  }
  device->compute().wait(device->communication().record());
  CHECK(read_values(result)[10] == Approx(kernels::gelu(7.0f)));
}

TEST_CASE("a stream says how long work took it", "[gpu]") {
  if (no_gpu()) return;
  const auto device = make_cuda_device(0);
  Tensor x = Tensor::empty(*device, {1 << 20}), y = Tensor::empty(*device, {1 << 20});
  const double begin = now();
  const double seconds =
      device->compute().seconds_of([&] { kernels::gelu_forward(y, x, device->compute()); });
  CHECK(seconds >= 0);
  CHECK(seconds <= now() - begin + 1e-3);
}
