// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/device_group.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "collectives/algorithms/table.hpp"
#include "collectives/backends/table.hpp"

namespace lockstep {

namespace {

// Nothing is measured to choose by: every algorithm is.
std::unique_ptr<Backend> backend_of(const Context& context, Device& device, const char* name) {
  const CommunicatorOptions options{.backend = name, .constants = Constants::built_in};
  return find_backend(name, DeviceKind::cuda).make(context.world(), device, options);
}

class DeviceMessages : public Transport {
 public:
  DeviceMessages(Backend& group, std::vector<int> nodes)
      : group_(group), nodes_(std::move(nodes)) {}

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  int node_of(int rank) const override { return nodes_[static_cast<std::size_t>(rank)]; }
  std::unique_ptr<Transport> split(int, int) override {
    throw LogicError("messages of GPUs are timed among all ranks");
  }

 protected:
  void start_send(Ticket ticket, const Elements& data, int to) override {
    posted_.emplace_back(ticket, send_call(data, to));
  }
  void start_receive(Ticket ticket, const Elements& data, int from) override {
    posted_.emplace_back(ticket, receive_call(data, from));
  }
  void finish(Ticket up_to) override {
    std::vector<Call> messages;
    while (!posted_.empty() && posted_.front().first <= up_to) {
      messages.push_back(posted_.front().second);
      posted_.erase(posted_.begin());
    }
    if (!messages.empty()) group_.transfer(messages, deadline_);
  }

 private:
  Backend& group_;
  std::vector<int> nodes_;
  std::vector<std::pair<Ticket, Call>> posted_;  // oldest first
};

}  // namespace

DeviceGroup::DeviceGroup(const Context& context, Device& device)
    : usual_(backend_of(context, device, "auto")),
      ours_(backend_of(context, device, "native")),
      library_(backend_of(context, device, "mpi")) {}

GroupShape DeviceGroup::shape() const {
  GroupShape shape = usual_->shape();
  shape.shared_memory = shape.shared_inside = shape.reads_private = shape.crowded = false;
  return shape;
}

std::vector<Choice> DeviceGroup::candidates(const Call& call) const {
  std::vector<Choice> all = ours_->candidates(call);
  const GroupShape group = shape();
  std::erase_if(all, [&](const Choice& c) { return c.algorithm && c.algorithm->refusal(group); });
  const Choice usual = usual_->choose(call);
  if (!usual.algorithm) all.push_back(usual);
  return all;
}

void DeviceGroup::run(const Call& call, const Choice& choice, const Deadline& deadline) {
  const bool by_library = choice.label == std::string_view("mpi");
  Backend& server = choice.algorithm ? *ours_ : by_library ? *library_ : *usual_;
  server.run(call, choice, deadline);
  wait_for(server.take_under_way());
}

std::unique_ptr<Backend> DeviceGroup::split(const std::vector<int>&) {
  throw LogicError("collectives of GPUs are timed among all ranks");
}

std::unique_ptr<Transport> make_device_messages(Backend& group, std::vector<int> nodes) {
  return std::make_unique<DeviceMessages>(group, std::move(nodes));
}

}  // namespace lockstep
