// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/alone.hpp"

#include "runtime/base/error.hpp"
#include "runtime/device/cuda_copies.hpp"

namespace lockstep::alone {

namespace {

class AloneBackend : public Backend {
 public:
  AloneBackend(Device& device, const char* label)
      : device_(device), label_(label), copies_(device) {}

  int rank() const override { return 0; }
  int size() const override { return 1; }
  GroupShape shape() const override { return {}; }
  std::vector<Choice> candidates(const Call& call) const override { return {choose(call)}; }
  Choice choose(const Call&) const override { return {.label = label_}; }
  void launch_into(Stream& stream) override { copies_.go_out_in(stream); }

  void run(const Call& call, const Choice&, const Deadline&) override {
    if (call.in.data == call.out.data || call.bytes() == 0) return;
    copies_.enter();
    copies_.on_gpu(call.out.data, call.in.data, call.bytes());
  }
  void transfer(std::span<const Call>, const Deadline&) override {
    throw LogicError("a message of a rank to itself");
  }
  std::unique_ptr<Backend> split(const std::vector<int>&) override {
    return std::make_unique<AloneBackend>(device_, label_);
  }

 private:
  Device& device_;
  const char* label_;
  CudaCopies copies_;
};

}  // namespace

std::unique_ptr<Backend> make(Device& device, const char* label) {
  return std::make_unique<AloneBackend>(device, label);
}

}  // namespace lockstep::alone
