// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/device.hpp"

#include <future>
#include <thread>

#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("statistics follow what lives, and remember the most", "[unit]") {
  for (auto& device : {std::shared_ptr(make_cpu_device()), std::shared_ptr(make_dry_device())}) {
    INFO("device " << static_cast<int>(device->kind()));
    auto a = device->allocate(1000);
    {
      auto b = device->allocate(500);
      CHECK(device->memory().allocated == 1500);
    }
    auto c = device->allocate(200);
    CHECK(device->memory().allocated == 1200);
    CHECK(device->memory().peak == 1500);

    device->reset_peak();
    CHECK(device->memory().peak == 1200);
    a.reset();
    CHECK(device->memory().allocated == 200);
    CHECK(device->memory().peak == 1200);
  }
}

TEST_CASE("the peak is known by what it was for", "[unit]") {
  for (auto& device : {std::shared_ptr(make_cpu_device()), std::shared_ptr(make_dry_device())}) {
    const auto at_peak = [&](MemoryUse use) {
      return device->memory().at_peak[static_cast<std::size_t>(use)];
    };
    std::shared_ptr<void> parameters, moments, activations = device->allocate(10);
    {
      const MemoryScope scope(*device, MemoryUse::parameters);
      parameters = device->allocate(1000);
      const MemoryScope inner(*device, MemoryUse::optimizer);
      moments = device->allocate(2000);
    }
    activations = device->allocate(30);  // for a moment both
    activations = device->allocate(20);
    moments.reset();
    activations = device->allocate(40);

    CHECK(device->memory().peak == 3050);
    CHECK(at_peak(MemoryUse::parameters) == 1000);
    CHECK(at_peak(MemoryUse::optimizer) == 2000);
    CHECK(at_peak(MemoryUse::activations) == 50);
    CHECK(at_peak(MemoryUse::gradients) == 0);
    device->reset_peak();
    CHECK(at_peak(MemoryUse::optimizer) == 0);
    CHECK(at_peak(MemoryUse::activations) == 40);
  }
}

TEST_CASE("a cpu device keeps what it took from the system", "[unit]") {
  auto device = make_cpu_device();
  void* first = device->allocate(5000).get();
  const std::size_t reserved = device->memory().reserved;
  CHECK(reserved >= 5000);
  CHECK(device->allocate(5000).get() == first);
  CHECK(device->memory().reserved == reserved);
}

TEST_CASE("a dry device owns no memory, however much is asked of it", "[unit]") {
  auto device = make_dry_device();
  const std::size_t huge = std::size_t{1} << 50;
  auto block = device->allocate(huge);
  CHECK(block.get() == nullptr);
  CHECK(device->memory().allocated == huge);
  CHECK(device->memory().reserved == 0);
  CHECK_FALSE(device->executes());
}

TEST_CASE("memory may outlive its device, and be released by another thread", "[unit]") {
  auto device = make_cpu_device();
  auto block = device->allocate(100), other = device->allocate(100);
  std::thread([moved = std::move(other)]() mutable { moved.reset(); }).join();
  CHECK(device->memory().allocated == 100);
  device.reset();
  static_cast<char*>(block.get())[99] = 1;
}

TEST_CASE("communication runs beside the caller, or by the caller where threads are not allowed",
          "[unit]") {
  for (CommunicationDriver driver :
       {CommunicationDriver::worker_thread, CommunicationDriver::caller}) {
    auto device = make_cpu_device(driver);
    std::promise<bool> ran_beside;
    device->communication().run({}, [&] { ran_beside.set_value(in_background()); });
    device->compute().run({}, [] {});
    const bool beside = ran_beside.get_future().get();
    CHECK(beside == (driver == CommunicationDriver::worker_thread));
  }
}

TEST_CASE("a device records both of its streams", "[unit]") {
  auto device = make_cpu_device();
  Recording recording;
  device->record_into(&recording);
  device->compute().run({.name = "a"}, [] {});
  device->communication().run({.name = "b"}, [] {});
  device->communication().synchronize();
  device->record_into(nullptr);

  REQUIRE(recording.records().size() == 2);
  CHECK(recording.records()[0].stream != recording.records()[1].stream);
}
