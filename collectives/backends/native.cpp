// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/native.hpp"

#include <utility>

#include "collectives/measure.hpp"
#include "collectives/select.hpp"
#include "collectives/transports/mpi.hpp"
#include "runtime/device/device.hpp"

namespace lockstep::native {

namespace {

constexpr double kMeasureSeconds = 0.1;  // once per job: groups split from it inherit the constants

Links links_for(Transport& net, const CommunicatorOptions& options) {
  if (options.costs) return options.costs->links;
  const bool measured = options.constants == Constants::measured;
  return measured ? measure_links(net, kMeasureSeconds) : Links{};
}

class NativeBackend : public Backend {
 public:
  NativeBackend(std::unique_ptr<Transport> net, CommunicatorOptions options, const Links& links)
      : net_(std::move(net)),
        options_(std::move(options)),
        selector_(options_, net_->shape(), links) {}

  const Selector& selector() const { return selector_; }

  int rank() const override { return net_->rank(); }
  int size() const override { return net_->size(); }
  GroupShape shape() const override { return selector_.group(); }
  Links links() const override { return selector_.links(); }

  std::vector<Choice> candidates(const Call& call) const override {
    return selector_.candidates(call);
  }
  Choice choose(const Call& call) const override { return selector_.choose(call); }

  void run(const Call& call, const Choice& choice, const Deadline& deadline) override {
    expect(choice.algorithm != nullptr, "a collective without an algorithm of ours");
    net_->begin(call, deadline);
    choice.algorithm->run(*net_, call);
    net_->end(call);
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
    net_->end(messages.front());
  }

  void launch_into(Stream& stream) override { net_->launch_into(stream); }
  std::unique_ptr<UnderWay> take_under_way() override { return net_->take_under_way(); }

  std::shared_ptr<void> allocate(Device& device, std::size_t bytes) override {
    if (auto memory = net_->allocate(bytes)) return device.adopt(std::move(memory), bytes);
    return device.allocate(bytes);
  }
  bool owns(const Elements& data) const override { return net_->owns(data); }

  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    const int color = colors[static_cast<std::size_t>(rank())];
    return std::make_unique<NativeBackend>(net_->split(color, rank()), options_, links());
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
  const Links links = links_for(*net, options);
  auto backend = std::make_unique<NativeBackend>(std::move(net), options, links);
  backend->selector().expect_named_serves();
  if (backend->rank() == 0) backend->selector().warn_of_rules();
  return backend;
}

}  // namespace lockstep::native
