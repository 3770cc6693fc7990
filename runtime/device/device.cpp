// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/device.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "runtime/device/block_cache.hpp"

namespace lockstep {

struct Device::Ledger {
  std::mutex mutex;
  std::size_t allocated = 0, peak = 0;

  void add(std::size_t bytes) {
    std::lock_guard lock(mutex);
    allocated += bytes;
    peak = std::max(peak, allocated);
  }
  void subtract(std::size_t bytes) {
    std::lock_guard lock(mutex);
    allocated -= bytes;
  }
};

Device::Device(std::unique_ptr<Stream> compute, std::unique_ptr<Stream> communication)
    : ledger_(std::make_shared<Ledger>()),
      compute_(std::move(compute)),
      communication_(std::move(communication)) {}

std::shared_ptr<void> Device::allocate(std::size_t bytes) {
  return adopt(take(bytes), bytes);
}

std::shared_ptr<void> Device::adopt(std::shared_ptr<void> block, std::size_t bytes) {
  ledger_->add(bytes);
  void* address = block.get();
  return {address, [block = std::move(block), ledger = ledger_, bytes](void*) mutable {
            block.reset();
            ledger->subtract(bytes);
          }};
}

MemoryStats Device::memory() const {
  std::lock_guard lock(ledger_->mutex);
  return {ledger_->allocated, ledger_->peak, reserved()};
}

void Device::reset_peak() {
  std::lock_guard lock(ledger_->mutex);
  ledger_->peak = ledger_->allocated;
}

void Device::record_into(Recording* recording) {
  compute_->record_into(recording);
  communication_->record_into(recording);
}

namespace {

class CpuDevice : public Device {
 public:
  explicit CpuDevice(CommunicationDriver driver)
      : CpuDevice(driver == CommunicationDriver::worker_thread
                      ? make_worker_stream(StreamKind::communication)
                      : make_inline_stream(StreamKind::communication)) {}

  DeviceKind kind() const override { return DeviceKind::cpu; }

 protected:
  std::shared_ptr<void> take(std::size_t bytes) override {
    void* block = cache_->take(bytes);
    return {block, [cache = cache_, bytes](void* p) { cache->give_back(p, bytes); }};
  }
  std::size_t reserved() const override { return cache_->reserved(); }

 private:
  explicit CpuDevice(std::unique_ptr<Stream> communication)
      : Device{make_inline_stream(StreamKind::compute, communication.get()),  // in this order
               std::move(communication)},
        cache_(std::make_shared<BlockCache>()) {}

  std::shared_ptr<BlockCache> cache_;
};

class DryDevice : public Device {
 public:
  DryDevice()
      : Device(make_dry_stream(StreamKind::compute), make_dry_stream(StreamKind::communication)) {}

  DeviceKind kind() const override { return DeviceKind::dry; }

 protected:
  std::shared_ptr<void> take(std::size_t) override { return nullptr; }
};

}  // namespace

std::unique_ptr<Device> make_cpu_device(CommunicationDriver driver) {
  return std::make_unique<CpuDevice>(driver);
}
std::unique_ptr<Device> make_dry_device() {
  return std::make_unique<DryDevice>();
}

}  // namespace lockstep
