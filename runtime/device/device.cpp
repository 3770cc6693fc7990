// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/device.hpp"

#include <cstring>
#include <mutex>
#include <utility>

#include "runtime/base/format.hpp"
#include "runtime/device/block_cache.hpp"

namespace lockstep {

struct Device::Ledger {
  std::mutex mutex;
  MemoryUse use = MemoryUse::activations;  // of what comes next
  std::size_t allocated = 0, peak = 0;
  BytesByUse by_use{}, at_peak{};

  MemoryUse add(std::size_t bytes) {
    std::lock_guard lock(mutex);
    allocated += bytes;
    by_use[static_cast<std::size_t>(use)] += bytes;
    if (allocated > peak) note_peak();
    return use;
  }
  void subtract(std::size_t bytes, MemoryUse was) {
    std::lock_guard lock(mutex);
    allocated -= bytes;
    by_use[static_cast<std::size_t>(was)] -= bytes;
  }
  void note_peak() {
    peak = allocated;
    at_peak = by_use;
  }
};

const char* name_of(MemoryUse use) {
  constexpr const char* kNames[] = {"parameters", "gradients", "optimizer", "activations",
                                    "buffers"};
  return kNames[static_cast<int>(use)];
}

Device::Device(std::unique_ptr<Stream> compute, Lanes lanes)
    : ledger_(std::make_shared<Ledger>()), compute_(std::move(compute)), lanes_(std::move(lanes)) {}

void Device::synchronize_communication() {
  for (const auto& lane : lanes_)
    lane->synchronize();
}

double Device::communication_busy_seconds() const {
  double seconds = 0;
  for (const auto& lane : lanes_)
    seconds += lane->busy_seconds();
  return seconds;
}

double Device::communication_exposed_seconds() const {
  double seconds = 0;
  for (const auto& lane : lanes_)
    seconds += lane->exposed_seconds();
  return seconds;
}

std::shared_ptr<void> Device::allocate(std::size_t bytes) {
  return adopt(take(bytes), bytes);
}

std::shared_ptr<void> Device::adopt(std::shared_ptr<void> block, std::size_t bytes) {
  bytes = held_for(bytes, ledger_->use);
  const MemoryUse use = ledger_->add(bytes);
  void* address = block.get();
  return {address, [block = std::move(block), ledger = ledger_, bytes, use](void*) mutable {
            block.reset();
            ledger->subtract(bytes, use);
          }};
}

MemoryStats Device::memory() const {
  std::lock_guard lock(ledger_->mutex);
  return {ledger_->allocated, ledger_->peak, ledger_->at_peak, reserved()};
}

std::string Device::holdings() const {
  std::lock_guard lock(ledger_->mutex);
  std::string text;
  for (std::size_t use = 0; use < ledger_->by_use.size(); ++use) {
    const double gib = static_cast<double>(ledger_->by_use[use]) / 0x1p30;
    if (gib == 0) continue;
    text += (text.empty() ? "" : ", ") +
            format("%.2f GiB %s", gib, name_of(static_cast<MemoryUse>(use)));
  }
  return text.empty() ? "nothing" : text;
}

void Device::reset_peak() {
  std::lock_guard lock(ledger_->mutex);
  ledger_->note_peak();
}

MemoryUse Device::allocate_for(MemoryUse use) {
  std::lock_guard lock(ledger_->mutex);
  return std::exchange(ledger_->use, use);
}

const DryPolicy& Device::policy() const {
  static constexpr DryPolicy kAsItIs{};
  return kAsItIs;
}

void Device::record_into(Recording* recording) {
  compute_->record_into(recording);
  for (const auto& lane : lanes_)
    lane->record_into(recording);
}

void Device::copy_in(void* to, const void* host, std::size_t bytes) {
  if (to) std::memcpy(to, host, bytes);
}

void Device::copy_out(void* host, const void* from, std::size_t bytes) {
  compute_->synchronize();
  if (from) std::memcpy(host, from, bytes);
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
  static Lanes only(std::unique_ptr<Stream> communication) {
    Lanes lanes;
    lanes.push_back(std::move(communication));
    return lanes;
  }
  explicit CpuDevice(std::unique_ptr<Stream> communication)
      : Device{make_inline_stream(StreamKind::compute, communication.get()),  // in this order
               only(std::move(communication))},
        cache_(std::make_shared<BlockCache>()) {}

  std::shared_ptr<BlockCache> cache_;
};

class DryDevice : public Device {
 public:
  explicit DryDevice(const DryPolicy& policy)
      : Device(make_dry_stream(StreamKind::compute, policy), lanes(policy)),
        policy_(policy),
        held_(held_per_byte(policy)) {}

  DeviceKind kind() const override { return DeviceKind::dry; }
  const DryPolicy& policy() const override { return policy_; }

 protected:
  std::shared_ptr<void> take(std::size_t) override { return nullptr; }
  std::size_t held_for(std::size_t bytes, MemoryUse use) const override {
    return static_cast<std::size_t>(static_cast<double>(bytes) *
                                    held_[static_cast<std::size_t>(use)]);
  }

 private:
  static Lanes lanes(const DryPolicy& policy) {
    Lanes lanes;
    for (std::size_t lane = 0; lane < kNumLanes; ++lane) {
      lanes.push_back(make_dry_stream(StreamKind::communication, policy, static_cast<Lane>(lane)));
    }
    return lanes;
  }

  DryPolicy policy_;
  std::array<double, kNumMemoryUses> held_;
};

}  // namespace

std::unique_ptr<Device> make_cpu_device(CommunicationDriver driver) {
  return std::make_unique<CpuDevice>(driver);
}
std::unique_ptr<Device> make_dry_device(const DryPolicy& policy) {
  return std::make_unique<DryDevice>(policy);
}

}  // namespace lockstep
