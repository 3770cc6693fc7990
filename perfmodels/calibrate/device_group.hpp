// SPDX-License-Identifier: Apache-2.0
// Ranks whose elements are in the memory of GPUs: all that can serve their collectives (NCCL where
// each has a GPU of its own, our algorithms, MPI through the host), and messages between them as
// pipelines send them. Who serves is told by the label of a choice.
#pragma once

#include <memory>
#include <vector>

#include "collectives/backend.hpp"
#include "collectives/transport.hpp"
#include "runtime/context/context.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

// A call returns when it is done.
class DeviceGroup : public Backend {
 public:
  DeviceGroup(const Context& context, Device& device);

  int rank() const override { return usual_->rank(); }
  int size() const override { return usual_->size(); }
  GroupShape shape() const override;  // GPUs share no memory
  std::vector<Choice> candidates(const Call& call) const override;
  // Of backend `auto`, which messages go by, too.
  Choice choose(const Call& call) const override { return usual_->choose(call); }
  void run(const Call& call, const Choice& choice, const Deadline& deadline) override;
  void transfer(std::span<const Call> messages, const Deadline& deadline) override {
    usual_->transfer(messages, deadline);
    wait_for(usual_->take_under_way());
  }
  std::unique_ptr<Backend> split(const std::vector<int>& colors) override;
  std::shared_ptr<void> allocate(Device& device, std::size_t bytes) override {
    return usual_->allocate(device, bytes);
  }

 private:
  std::unique_ptr<Backend> usual_, ours_, library_;
};

// A complete() is one transfer: messages of an operation go on at the same time, and the host waits
// for their end, as it does in a job.
std::unique_ptr<Transport> make_device_messages(Backend& group, std::vector<int> nodes);

}  // namespace lockstep
