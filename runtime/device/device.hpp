// SPDX-License-Identifier: Apache-2.0
// What a rank computes on: memory and streams, one to compute and one or several to communicate.
//   cpu   runs; memory from a caching allocator
//   cuda  a GPU: kernels and messages are put into its streams; memory from its pool
//   dry   owns no memory and computes nothing: every launch is recorded, every byte is counted
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/device/dry_policy.hpp"
#include "runtime/device/stream.hpp"

namespace lockstep {

enum class DeviceKind : std::uint8_t { cpu, cuda, dry };

// What memory is for. What nobody says otherwise of are activations; buffers are the workspace of
// kernels and of communication.
enum class MemoryUse : std::uint8_t { parameters, gradients, optimizer, activations, buffers };
inline constexpr int kNumMemoryUses = 5;
const char* name_of(MemoryUse use);
using BytesByUse = std::array<std::size_t, kNumMemoryUses>;

struct MemoryStats {
  std::size_t allocated = 0;  // bytes held by live tensors
  std::size_t peak = 0;       // most of that at any time
  BytesByUse at_peak{};       // what that was made of
  std::size_t reserved = 0;   // bytes taken from the system, cached blocks included
};

// How a model computes. What is summed is summed in float32 in any case, and so are gradients,
// statistics and optimizer states kept.
enum class Products : std::uint8_t { float32, tf32 };  // of float32 tensors, on a GPU
// Attention on a GPU, where cuDNN is there and can: its forward pass has the same bits every time,
// its backward pass has not (kernels/attention_cudnn.hpp).
enum class AttentionBy : std::uint8_t { own, library_forward, library };
struct Numerics {
  DType values = DType::float32;  // of parameters and activations: float32 or bfloat16
  Products products = Products::float32;
  AttentionBy attention = AttentionBy::own;
};

class Device {
 public:
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  virtual DeviceKind kind() const = 0;
  // 64-byte aligned and uninitialized; nullptr on the dry device. Throws SystemError when full. A
  // GPU's are for what is put into the compute stream from now on, and for streams that wait for
  // it.
  std::shared_ptr<void> allocate(std::size_t bytes);
  // Counts memory that somebody else took for it, until it is given back.
  std::shared_ptr<void> adopt(std::shared_ptr<void> memory, std::size_t bytes);
  MemoryStats memory() const;
  std::string holdings() const;  // "2.1 GiB parameters, 8.4 GiB activations": what it holds now
  void reset_peak();
  // What is allocated from now on is for `use`; returns what it was for before (MemoryScope).
  MemoryUse allocate_for(MemoryUse use);

  Stream& compute() { return *compute_; }
  // That of a lane: on the cpu the same for all. A Communicator takes that of its axis.
  Stream& communication(Lane lane = Lane::world) {
    return *lanes_[lanes_.size() == 1 ? 0 : static_cast<std::size_t>(lane)];
  }
  void synchronize_communication();
  double communication_busy_seconds() const;  // of all lanes, as Stream's
  double communication_exposed_seconds() const;
  bool executes() const { return compute_->executes(); }
  const Numerics& numerics() const { return numerics_; }
  void compute_in(const Numerics& numerics) { numerics_ = numerics; }  // before a model is made
  // What it stands for, where that is not this program.
  virtual const DryPolicy& policy() const;
  void record_into(Recording* recording);

  // Between the host's memory and this device's, in the order of the compute stream. What copy_in
  // reads may change when it returns; copy_out returns when the bytes are there.
  virtual void copy_in(void* to, const void* host, std::size_t bytes);
  virtual void copy_out(void* host, const void* from, std::size_t bytes);

 protected:
  struct Ledger;  // counts bytes; outlives the device for as long as a tensor does
  using Lanes = std::vector<std::unique_ptr<Stream>>;  // one for all, or each its own
  Device(std::unique_ptr<Stream> compute, Lanes lanes);
  virtual std::shared_ptr<void> take(std::size_t bytes) = 0;
  virtual std::size_t reserved() const { return 0; }
  virtual std::size_t held_for(std::size_t bytes, MemoryUse) const { return bytes; }

 private:
  std::shared_ptr<Ledger> ledger_;
  std::unique_ptr<Stream> compute_;
  Lanes lanes_;
  Numerics numerics_;
};

// What is allocated while it lives is for `use`.
class MemoryScope {
 public:
  MemoryScope(Device& device, MemoryUse use) : device_(device), before_(device.allocate_for(use)) {}
  ~MemoryScope() { device_.allocate_for(before_); }
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;

 private:
  Device& device_;
  MemoryUse before_;
};

// Who executes what is submitted to the communication stream.
enum class CommunicationDriver : std::uint8_t { worker_thread, caller };

std::unique_ptr<Device> make_cpu_device(
    CommunicationDriver driver = CommunicationDriver::worker_thread);
std::unique_ptr<Device> make_dry_device(const DryPolicy& policy = {});

}  // namespace lockstep
