// SPDX-License-Identifier: Apache-2.0
#include "parallelism/pipeline/executor.hpp"

#include <algorithm>
#include <utility>

#include "parallelism/pipeline/messages.hpp"

namespace lockstep {

namespace {

bool is(const Action& a, ActionKind kind, int micro_batch, int chunk) {
  return a == Action{kind, micro_batch, chunk};
}

bool is_message(const Action& a) {
  return a.kind >= ActionKind::send_activation;
}

// Whether the next thing to compute behind `at` is the weight gradient of the same pass.
bool weight_follows(const std::vector<Action>& actions, std::size_t at) {
  const Action& input = actions[at];
  const auto next = std::find_if_not(actions.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                                     actions.end(), is_message);
  return next != actions.end() &&
         is(*next, ActionKind::backward_weight, input.micro_batch, input.chunk);
}

// When the weight gradients of a pass run: known to its stash from its forward on.
Stash::WeightGradients weight_gradients_of(const std::vector<Action>& actions, std::size_t at) {
  const Action& forward = actions[at];
  for (std::size_t i = at; i < actions.size(); ++i) {
    if (is(actions[i], ActionKind::backward_input, forward.micro_batch, forward.chunk)) {
      return weight_follows(actions, i) ? Stash::WeightGradients::immediate
                                        : Stash::WeightGradients::deferred;
    }
  }
  throw LogicError("a forward pass without its backward pass in the schedule");
}

}  // namespace

bool defers_weight_gradients(const std::vector<Action>& actions) {
  for (std::size_t i = 0; i < actions.size(); ++i) {
    if (actions[i].kind == ActionKind::backward_input && !weight_follows(actions, i)) return true;
  }
  return false;
}

PipelineSchedule with_executed_messages(const PipelineSchedule& schedule) {
  constexpr StageTimes kTogether{.forward = 1, .backward_input = 2, .backward_weight = 0};
  const bool apart = std::any_of(schedule.stages.begin(), schedule.stages.end(),
                                 [](const auto& s) { return defers_weight_gradients(s); });
  return apart ? with_messages(schedule) : with_messages(schedule, {.parts = {kTogether}});
}

PipelineExecutor::PipelineExecutor(std::vector<PipelineChunk> chunks, Communicator stages,
                                   Device& device)
    : chunks_(std::move(chunks)), stages_(std::move(stages)), device_(device) {}

void PipelineExecutor::run(const std::vector<Action>& actions, const PipelineShape& shape,
                           const PipelineEnds& ends) {
  expect(shape.chunks == chunks() && shape.stages == stages_.size(), "a schedule of another shape");
  peak_stored_ = 0;
  for (std::size_t at = 0; at < actions.size(); ++at)
    act(actions, at, ends);
  for (Work& work : sends_)
    work.wait();
  sends_.clear();
  expect(slots_.empty() && activations_.empty() && gradients_.empty(),
         "a schedule that leaves something over");
}

void PipelineExecutor::act(const std::vector<Action>& actions, std::size_t at,
                           const PipelineEnds& ends) {
  const Action& a = actions[at];
  const Key key{a.micro_batch, a.chunk};
  const PipelineChunk& chunk = chunks_[static_cast<std::size_t>(a.chunk)];
  switch (a.kind) {
    case ActionKind::forward:
      return forward(a, weight_gradients_of(actions, at), ends);
    case ActionKind::backward_input:
      return backward(a);
    case ActionKind::backward_weight: {
      const PhaseSpan span(device_.compute(), "backward_weight", {a.micro_batch, a.chunk});
      slots_.at(key).stash.settle();
      slots_.erase(key);
      return;
    }
    case ActionKind::send_activation:
      return send(std::exchange(slots_.at(key).output, {}), behind());
    case ActionKind::send_gradient:
      return send(std::exchange(slots_.at(key).dx, {}), before());
    case ActionKind::receive_activation:
      activations_.emplace(key, receive(ends.batch(a.micro_batch), chunk.input_columns, before()));
      return;
    case ActionKind::receive_gradient:
      gradients_.emplace(key, receive(ends.batch(a.micro_batch), chunk.output_columns, behind()));
      return;
  }
}

void PipelineExecutor::forward(const Action& a, Stash::WeightGradients when,
                               const PipelineEnds& ends) {
  const PhaseSpan span(device_.compute(), "forward", {a.micro_batch, a.chunk});
  const Key key{a.micro_batch, a.chunk};
  Slot& slot =
      slots_.emplace(key, Slot{Stash(ends.batch(a.micro_batch), Stash::Mode::training, when)})
          .first->second;
  slot.stash.on_ready(ends.ready);
  peak_stored_ = std::max(peak_stored_, static_cast<int>(slots_.size()));
  nn::Sequential& layers = *chunks_[static_cast<std::size_t>(a.chunk)].layers;
  Tensor x = first(a.chunk) ? ends.tokens(a.micro_batch) : received(activations_, key);
  slot.output = layers.forward(x, slot.stash);
  if (last(a.chunk)) slot.output = ends.loss(a.micro_batch, std::move(slot.output));
}

void PipelineExecutor::backward(const Action& a) {
  const PhaseSpan span(device_.compute(), "backward", {a.micro_batch, a.chunk});
  const Key key{a.micro_batch, a.chunk};
  Slot& slot = slots_.at(key);
  Tensor dy = last(a.chunk) ? std::exchange(slot.output, {}) : received(gradients_, key);
  nn::Sequential& layers = *chunks_[static_cast<std::size_t>(a.chunk)].layers;
  slot.dx = layers.backward_input(std::move(dy), slot.stash);
}

void PipelineExecutor::send(Tensor data, int to) {
  sends_.push_back(stages_.send(data, to));
}

PipelineExecutor::Message PipelineExecutor::receive(const MicroBatch& batch, std::int64_t columns,
                                                    int from) {
  Tensor data = Tensor::empty(device_, {batch.rows, columns}, device_.numerics().values);
  Work work = stages_.receive(data, from);
  return {std::move(data), std::move(work)};
}

Tensor PipelineExecutor::received(std::map<Key, Message>& from, const Key& key) {
  const auto at = from.find(key);
  expect(at != from.end(), "a pass before the message that it needs");
  at->second.work.wait();
  Tensor data = std::move(at->second.data);
  from.erase(at);
  return data;
}

Tensor PipelineExecutor::infer(const Tensor& tokens, const MicroBatch& batch) {
  Tensor output;
  for (int c = 0; c < chunks(); ++c) {
    const PipelineChunk& chunk = chunks_[static_cast<std::size_t>(c)];
    Stash stash(batch, Stash::Mode::inference);
    Tensor x = tokens;
    if (!first(c)) {
      Message message = receive(batch, chunk.input_columns, before());
      message.work.wait();
      x = std::move(message.data);
    }
    output = chunk.layers->forward(x, stash);
    if (last(c)) return output;
    stages_.send(output, behind()).wait();
  }
  return {};
}

}  // namespace lockstep
