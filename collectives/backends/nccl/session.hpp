// SPDX-License-Identifier: Apache-2.0
// What the backend and the transport share: the communicator of one group, the stream of its lane,
// and the operation under way.
//
// Work is put into the stream, behind what the stream was told to wait for, and left under way; the
// host polls for its end, so that a wait has a deadline (from when its turn in the stream comes)
// and sees what NCCL finds wrong beside the stream. When an operation fails or its deadline passes,
// the communicator is aborted: kernels that wait for other ranks end, and the GPU is free. A group
// of one rank has nobody to wait for, and the host does not.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "collectives/backends/nccl/comm.hpp"
#include "collectives/call.hpp"
#include "runtime/device/cuda_handles.hpp"
#include "runtime/device/under_way.hpp"

namespace lockstep {
class Device;
class Stream;
}  // namespace lockstep

namespace lockstep::nccl {

class Session {
 public:
  // On the current GPU, the device's. No comm: a group of one rank.
  Session(std::shared_ptr<Comm> comm, Device& device);
  void launch_into(Stream& queue);

  // CUDA's current GPU belongs to a thread, and any thread may make a call.
  void enter() const;
  void begin(const Deadline& deadline);
  // Launches `calls` as one group, behind all that was launched before.
  void group(const std::function<void()>& calls);
  // Inside of a group; of zero elements no message is sent.
  void send(const Elements& data, int to);
  void receive(const Elements& data, int from);
  // Nothing to do where out is in; one of them may be the host's, until what is under way ends.
  void copy(const Elements& out, const Elements& in);
  // All is launched: who waits for its end is `doing` that. take_under_way() hands it over.
  void end(const std::string& doing);
  std::unique_ptr<UnderWay> take_under_way();

  std::shared_ptr<Comm> split(int color, int key, const Deadline& deadline);
  // Memory of the GPU, for as long as the owner likes.
  std::shared_ptr<std::byte> memory(std::size_t bytes) const;

  Device& device() const { return device_; }
  const std::shared_ptr<Comm>& comm() const { return comm_; }
  const Library& library() const { return comm_->library(); }
  Stream& queue() const { return *queue_; }
  cudaStream_t stream() const;
  std::byte* word() const { return word_.get(); }  // what a barrier reduces

 private:
  CudaEventHandle marked() const;  // behind what is in the stream

  std::shared_ptr<Comm> comm_;
  Device& device_;
  int gpu_;
  Stream* queue_;
  std::shared_ptr<std::byte> word_;
  Deadline deadline_;
  CudaEventHandle begun_;  // its turn in the stream
  std::unique_ptr<UnderWay> launched_;
};

// The communicator of the ranks of `comm` on their current GPUs; null where there is one rank.
// Collective. ConfigError where NCCL cannot serve them.
std::shared_ptr<Comm> connect(MPI_Comm comm, double timeout_seconds);

// "sending 4 bytes to rank 1 and receiving 4 bytes from rank 2"
std::string messages_text(std::span<const Call> messages);

}  // namespace lockstep::nccl
