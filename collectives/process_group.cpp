// SPDX-License-Identifier: Apache-2.0
#include "collectives/process_group.hpp"

#include <algorithm>
#include <utility>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

namespace {

// "all_reduce of 1000 x float32 in group data of 4 ranks (native/ring)"
std::string text_of(const Call& call, const char* label, const std::string& group, int ranks) {
  return std::string(name_of(call.what)) + " of " + std::to_string(call.count()) + " x " +
         name_of(call.dtype) + " in group " + group + " of " + std::to_string(ranks) + " ranks (" +
         label + ")";
}

}  // namespace

// The rest of an operation, behind its body.
class ProcessGroup::Launched : public UnderWay {
 public:
  Launched(std::shared_ptr<ProcessGroup> group, std::unique_ptr<UnderWay> work, const Call& call,
           const char* label, double begin, std::vector<Tensor> tensors)
      : group_(std::move(group)),
        flight_(std::move(group_->flight_)),
        work_(std::move(work)),
        call_(call),
        label_(label),
        begin_(begin),
        tensors_(std::move(tensors)) {}

  bool done() override {
    try {
      if (!work_->done()) return false;
    } catch (const SystemError& error) {
      group_->fail(*flight_, call_, label_, error, now() - begin_, tensors_);
    }
    if (FlightRecorder* const watch = group_->watch())
      watch->leave(*flight_, CallState::complete, now());
    return true;
  }
  void give_up() noexcept override { work_->give_up(); }

 private:
  std::shared_ptr<ProcessGroup> group_;
  std::unique_ptr<FlightRecorder::Flight> flight_;
  std::unique_ptr<UnderWay> work_;
  Call call_;
  const char* label_;
  double begin_;
  std::vector<Tensor> tensors_;
};

ProcessGroup::ProcessGroup(std::string name, Device& device, std::unique_ptr<Backend> backend,
                           CommunicatorOptions options, std::shared_ptr<FlightRecorder> recorder,
                           FlightRecorder::Group watched)
    : name_(std::move(name)),
      device_(device),
      queue_(device.communication(lane_of(name_))),
      backend_(std::move(backend)),
      options_(std::move(options)),
      recorder_(std::move(recorder)),
      watched_(std::move(watched)) {
  const GroupShape shape = backend_->shape();
  recorded_ = {name_, shape.ranks, shape.nodes, shape.even};
  backend_->launch_into(queue_);
}

std::shared_ptr<ProcessGroup> ProcessGroup::split(const std::string& name,
                                                  const std::vector<int>& colors) {
  std::unique_ptr<Backend> backend = backend_->split(colors);
  FlightRecorder::Group watched;
  if (recorder_) {
    std::vector<int> members;
    for (int r = 0; r < backend_->size(); ++r) {
      const auto color = [&](int rank) { return colors[static_cast<std::size_t>(rank)]; };
      if (color(r) == color(backend_->rank())) members.push_back(r);
    }
    watched = recorder_->part(watched_, splits_++, name, members, backend->rank());
  }
  return std::make_shared<ProcessGroup>(name, device_, std::move(backend), options_, recorder_,
                                        std::move(watched));
}

ProcessGroup::Times ProcessGroup::serve(const Call& call, const Choice& choice, const Tensor& out,
                                        const Tensor& in) {
  const auto body = [&](const Deadline& deadline) {
    backend_->run(call, choice, deadline);
    const bool holds_result = call.what != Collective::reduce || backend_->rank() == call.root;
    const bool on_host = device_.kind() == DeviceKind::cpu;
    if (holds_result && on_host) finish(call.out, call.op, backend_->size());
  };
  return carry_out({&call, 1}, choice.label, body, [&] { return std::vector{out, in}; });
}

void ProcessGroup::transfer(std::span<const Call> messages, const std::vector<Tensor>& tensors) {
  const auto body = [&](const Deadline& deadline) { backend_->transfer(messages, deadline); };
  carry_out(messages, backend_->choose(messages.front()).label, body, [&] { return tensors; });
}

void ProcessGroup::expect_all() {
  if (!recorder_) return;
  const Call call = barrier_call();
  serve(call, backend_->choose(call), {}, {});
  queue_.synchronize();
}

// Runs `body` with a deadline as these calls: the messages of one transfer, or one other call. What
// a failed or unfinished one still needs, copies of its tensors, is asked of `keep`.
template <class Body, class Keep>
ProcessGroup::Times ProcessGroup::carry_out(std::span<const Call> calls, const char* label,
                                            Body body, Keep keep) {
  const double begin = now();
  FlightRecorder* const watch = this->watch();
  if (!flight_) flight_ = std::make_unique<FlightRecorder::Flight>();
  if (watch) watch->enter(*flight_, watched_, calls, begin);
  if (options_.tamper && backend_->size() > 1)
    std::for_each(calls.begin(), calls.end(), options_.tamper);
  try {
    body({begin + options_.timeout_seconds, watch ? flight_.get() : nullptr});
  } catch (const SystemError& error) {
    fail(*flight_, calls.front(), label, error, now() - begin, keep());
  }
  const double end = now();
  if (auto work = backend_->take_under_way()) {
    queue_.attend(std::make_unique<Launched>(shared_from_this(), std::move(work), calls.front(),
                                             label, begin, keep()));
  } else if (watch) {
    watch->leave(*flight_, CallState::complete, end);
  }
  return {begin, end};
}

// MPI may still be at work on the tensors, by the backend: both are kept.
void ProcessGroup::fail(FlightRecorder::Flight& flight, const Call& call, const char* label,
                        const SystemError& error, double seconds, std::vector<Tensor> tensors) {
  const std::string text = text_of(call, label, name_, backend_->size());
  if (!watch()) throw SystemError(text + ": " + error.what());
  recorder_->keep(std::make_shared<std::vector<Tensor>>(std::move(tensors)));
  recorder_->keep(backend_);
  recorder_->fail(flight, text, error, seconds);
}

}  // namespace lockstep
