// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_lane.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace lockstep {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr int kWeights = 4;  // products of a block that complete gradients one after the other

double seconds_of(const LaneCosts& c, ActionKind kind) {
  if (kind == ActionKind::forward) return c.alone.forward;
  return kind == ActionKind::backward_input ? c.alone.backward_input : c.alone.backward_weight;
}

}  // namespace

StageLane::StageLane(std::vector<LaneLayer> layers, std::vector<int> begins, const LaneRules& rules,
                     const LaneMessages& messages)
    : layers_(std::move(layers)), begins_(std::move(begins)), rules_(rules), messages_(messages) {
  std::size_t values = 0, gradients = 0;
  for (const LaneLayer& layer : layers_) {
    values = std::max(values, layer.values_in + 1);
    gradients = std::max(gradients, layer.gradients_in + 1);
  }
  values_.resize(values);
  gradients_.resize(gradients);
}

PassEnd StageLane::pass(const Action& pass, double free, double begin) {
  idle_to(free);
  may_begin_ = begin;
  pass.kind == ActionKind::forward ? forward(pass.chunk) : backward(pass.chunk, pass);
  if (now_ < begin) idle_to(begin);
  return {now_, now_ + send(pass.kind)};
}

// How much longer the message takes that a pass makes: while the lane is at work, which the next
// pass begins with gathers where others lie between.
double StageLane::send(ActionKind pass) {
  const double seconds = pass == ActionKind::forward ? messages_.forward : messages_.backward;
  if (seconds == 0 || pass == ActionKind::backward_weight) return 0;
  leaving_ += seconds;
  constexpr double kGathers = 2;
  const bool gathers = rules_.zero == 3 && begins_.size() > 2;
  const double next = gathers ? kGathers * layers_[layers_.size() / 2].costs->gather : 0;
  return std::min(issued_ - done_ + next, seconds);
}

double StageLane::finish(double late_bytes) {
  filled_ += late_bytes;
  if (filled_ > 0) issued_ += rules_.sum.at(std::exchange(filled_, 0));
  return now_ + issued_ - done_;
}

void StageLane::forward(int chunk) {
  const int end = begins_[static_cast<std::size_t>(chunk) + 1];
  for (int i = begins_[static_cast<std::size_t>(chunk)]; i < end; ++i) {
    const auto layer = static_cast<std::size_t>(i);
    before(layer, i + 1);
    run(layers_[layer].costs->alone.forward, layers_[layer].costs->forward_until);
  }
}

void StageLane::backward(int chunk, const Action& pass) {
  const bool last = pass.micro_batch == rules_.last_micro_batch;
  const bool completes =
      rules_.deferred == (pass.kind == ActionKind::backward_weight) && (last || rules_.zero >= 2);
  const int begin = begins_[static_cast<std::size_t>(chunk)];
  for (int i = begins_[static_cast<std::size_t>(chunk) + 1] - 1; i >= begin; --i) {
    const auto layer = static_cast<std::size_t>(i);
    const LaneCosts& costs = *layers_[layer].costs;
    const double seconds = seconds_of(costs, pass.kind);
    if (seconds <= 0) continue;
    before(layer, i - 1);
    completes ? complete(layers_[layer], seconds) : run(seconds, costs.backward_until);
  }
}

// Of a layer whose gradients of the step, or with zero 2 and 3 of the micro-batch, are then ready.
void StageLane::complete(const LaneLayer& layer, double seconds) {
  const LaneCosts& costs = *layer.costs;
  if (rules_.zero < 2) {
    if (costs.again > 0) run(costs.again, costs.backward_until);
    const double part = (seconds - costs.again) / kWeights;
    for (int k = 0; k < kWeights; ++k) {
      run(part, k == 0 && costs.again == 0 ? std::min(costs.backward_until, part) : kNever);
      filled_ += costs.gradient_bytes / kWeights;
      if (filled_ >= rules_.bucket_bytes) issued_ += rules_.sum.at(std::exchange(filled_, 0));
    }
    return;
  }
  if (costs.gradient_bytes == 0) return run(seconds, costs.backward_until);
  Buffer& buffer = gradients_[layer.gradients_in];
  if (buffer.sums) wait_for(buffer.there);
  run(costs.clear + (buffer.sums ? costs.add : 0), kNever);
  run(seconds, costs.backward_until);
  issued_ += costs.sum;
  buffer = {.there = issued_, .sums = true};
}

// A pass through a layer, `next` being the one behind it.
void StageLane::before(std::size_t layer, int next) {
  if (rules_.zero == 3) {
    gather(layer);
    if (next >= 0 && next < static_cast<int>(layers_.size()))
      gather(static_cast<std::size_t>(next));
  }
  if (now_ < may_begin_) idle_to(may_begin_);
  if (rules_.zero == 3) wait_for(values_[layers_[layer].values_in].there);
}

void StageLane::gather(std::size_t layer) {
  const LaneLayer& of = layers_[layer];
  Buffer& buffer = values_[of.values_in];
  if (buffer.holds == of.unit) return;
  issued_ += of.costs->gather;
  buffer = {.holds = of.unit, .there = issued_};
}

void StageLane::idle_to(double time) {
  proceed(time - now_);
  now_ = time;
}

// The lane, for so long: at half its rate while messages leave.
void StageLane::proceed(double seconds) {
  const double pending = issued_ - done_, shared = std::min(pending, leaving_);
  if (seconds < 2 * shared) {
    done_ += seconds / 2;
    leaving_ -= seconds / 2;
    return;
  }
  const double rest = seconds - 2 * shared;
  done_ += std::min(pending, shared + rest);
  leaving_ = std::max(leaving_ - shared - (shared < pending ? 0 : rest), 0.0);
}

void StageLane::wait_for(double done) {
  const double more = std::max(done - done_, 0.0), shared = std::min(more, leaving_);
  done_ += more;
  leaving_ -= shared;
  stalled_ += more + shared;
  now_ += more + shared;
}

void StageLane::run(double seconds, double until) {
  if (!rules_.same_queue || until >= seconds) return run_beside(seconds);
  run_beside(until);
  wait_for(issued_);
  run_beside(seconds - until);
}

void StageLane::run_beside(double seconds) {
  double took = seconds;
  if (rules_.layer_pace > 1 || rules_.lane_pace > 1) {
    const double pending = issued_ - done_;
    const double both = std::min(seconds * rules_.layer_pace, pending * rules_.lane_pace);
    took += both - both / rules_.layer_pace;
    done_ = std::min(issued_, done_ + both / rules_.lane_pace);
  } else {
    proceed(seconds);
  }
  stalled_ += took - seconds;
  now_ += took;
}

}  // namespace lockstep
