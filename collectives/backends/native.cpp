// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/native.hpp"

#include <utility>

#include "collectives/select.hpp"
#include "collectives/transports/mpi.hpp"
#include "runtime/device/device.hpp"

namespace lockstep::native {

namespace {

class NativeBackend : public Backend {
 public:
  NativeBackend(std::unique_ptr<Transport> net, CommunicatorOptions options)
      : net_(std::move(net)),
        options_(std::move(options)),
        selector_(options_.algorithm, net_->shape()) {}

  int rank() const override { return net_->rank(); }
  int size() const override { return net_->size(); }
  GroupShape shape() const override { return selector_.group(); }

  std::vector<Choice> candidates(const Call& call) const override {
    return selector_.candidates(call);
  }
  Choice choose(const Call& call) const override { return selector_.choose(call); }

  void run(const Call& call, const Choice& choice, const Deadline& deadline) override {
    net_->begin(call, deadline);
    choice.algorithm->run(*net_, call);
  }

  void transfer(std::span<const Call> messages, const Deadline& deadline) override {
    for (const Call& message : messages) {
      net_->begin(message, deadline);
      if (message.what == Collective::send) {
        net_->post_send(message.in, message.root);
      } else {
        net_->post_receive(message.out, message.root);
      }
    }
    net_->complete();
  }

  std::shared_ptr<void> allocate(Device& device, std::size_t bytes) override {
    if (auto memory = net_->allocate(bytes)) return device.adopt(std::move(memory), bytes);
    return device.allocate(bytes);
  }
  bool owns(const Elements& data) const override { return net_->owns(data); }

  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    const int color = colors[static_cast<std::size_t>(rank())];
    return make(net_->split(color, rank()), options_);
  }

 private:
  std::unique_ptr<Transport> net_;
  CommunicatorOptions options_;
  Selector selector_;
};

}  // namespace

std::unique_ptr<Backend> make(MPI_Comm comm, const CommunicatorOptions& options) {
  return make(make_transport(duplicate(comm)), options);
}

std::unique_ptr<Backend> make(std::unique_ptr<Transport> net, const CommunicatorOptions& options) {
  return std::make_unique<NativeBackend>(std::move(net), options);
}

}  // namespace lockstep::native
