// SPDX-License-Identifier: Apache-2.0
#include "launch/run_guard.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "collectives/call.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/process.hpp"
#include "runtime/checkpoint/fence.hpp"
#include "runtime/failures/stragglers.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/update.hpp"
#include "runtime/logging/logging.hpp"
#include "runtime/tensor/transfer.hpp"

namespace lockstep {

namespace {

// True of gradients that are not there: with zero = 2 and 3 before the backward of their layer.
bool all_finite(const Tensor& values) {
  if (!values || !values.raw()) return true;
  Device& device = values.device();
  Tensor squares = Tensor::empty(device, {1}, DType::float64), norm = Tensor::empty(device, {1});
  kernels::squared_sums(squares, {values}, device.compute());
  kernels::norm_of(norm, squares, device.compute());
  return std::isfinite(read_scalar(norm));
}

bool finite(const StepResult& result) {
  return std::isfinite(result.loss) && std::isfinite(result.grad_norm);
}

}  // namespace

RunGuard::RunGuard(const Context& context, const JobConfig& job)
    : context_(context),
      wanted_(job.failures),
      faults_(job.faults.inject, context.rank(), context.size(),
              static_cast<int>(start_from_environment().restart)),
      spikes_(job.failures.spike_deviations, job.failures.spike_window) {}

void RunGuard::tamper_with(CommunicatorOptions& options) {
  options.tamper = [this](const Call& call) {
    if (call.in.data && faults_.damages(call.in.count))
      flip_bit(call.in.data, call.in.count, size_of(call.dtype));
  };
}

void RunGuard::watch(TrainingStep& step, const Mesh& mesh, Device& device) {
  if (device.kind() == DeviceKind::cuda && faults_.has(FaultKind::corrupt)) {
    throw ConfigError(
        "faults.inject: corrupt changes messages in the host's memory: not with "
        "job.device = \"cuda\"");
  }
  training_ = &step;
  mesh_ = &mesh;
  device_ = &device;
  const auto poison = [this, &device](Tensor& values) {
    Tensor first = values.view({values.count()}).slice(0, 1);
    kernels::fill(first, faults_.poison(), device.compute());
  };
  step.set_hooks({.losses =
                      [this, poison](Tensor& losses) {
                        if (faults_.poisons_loss()) poison(losses);
                      },
                  .gradient =
                      [this, poison](Parameter& p) {
                        if (faults_.poisons(p.name)) poison(p.second_grad ? p.second_grad : p.grad);
                      },
                  .accept =
                      [this](const StepResult& result) {
                        if (!finite(result) || wanted_.spike == "ignore") return true;
                        spike_ = went_back_.count(step_) > 0
                                     ? "stood out before training went back"
                                     : spikes_.judge(result.loss, result.grad_norm);
                        return spike_.empty() || wanted_.spike == "warn";
                      }});
}

void RunGuard::begin_step(std::int64_t step) {
  step_ = step;
  spike_.clear();
  faults_.begin_step(step);
}

void RunGuard::end_step(const StepResult& result, double seconds) {
  const double own = seconds - result.blocked_seconds;
  faults_.end_step(own);
  own_ += own;
  all_ += seconds;
  ++steps_;
  if (!finite(result)) {
    meet_nonfinite(result);
  } else if (!spike_.empty()) {
    meet_spike();
  } else {
    in_row_ = 0;
    spikes_.add(result.loss, result.grad_norm);
  }
  if (wanted_.straggler_every > 0 && steps_ >= wanted_.straggler_every) look_for_stragglers();
}

Progress RunGuard::progress() const {
  return {.losses = spikes_.losses(),
          .grad_norms = spikes_.grad_norms(),
          .went_back = {went_back_.begin(), went_back_.end()},
          .skipped = skipped_,
          .skipped_in_row = in_row_};
}

void RunGuard::go_on_from(const Progress& p) {
  went_back_ = {p.went_back.begin(), p.went_back.end()};
  skipped_ = p.skipped;
  in_row_ = p.skipped_in_row;
  go_back_to(p);
}

void RunGuard::go_back_to(const Progress& p) {
  spikes_.go_on_from(p.losses, p.grad_norms);
}

void RunGuard::meet_nonfinite(const StepResult& result) {
  const std::string origin = find_origin();
  const bool of_loss = !std::isfinite(result.loss);
  const std::string what =
      format("step %lld: the %s is %g; ", static_cast<long long>(step_),
             of_loss ? "loss" : "gradient norm", of_loss ? result.loss : result.grad_norm) +
      (origin.empty()
           ? "computed again all is finite: a value was damaged in memory, in a processor "
             "or on its way between ranks"
           : "computed again, " + origin);
  if (wanted_.nonfinite == "skip") return leave_out(what);
  if (origin.empty()) throw SystemError(what);
  throw ConfigError(what +
                    "; lower optimizer.learning_rate, look at the data of the step, or set " +
                    "failures.nonfinite = \"skip\"");
}

void RunGuard::meet_spike() {
  const std::string what = format("step %lld: ", static_cast<long long>(step_)) + spike_;
  if (wanted_.spike == "warn") {
    if (context_.first()) log_warning(what);
    return;
  }
  wants_back_ = wanted_.spike == "roll_back" && went_back_.insert(step_).second;
  leave_out(what);
}

void RunGuard::leave_out(const std::string& why) {
  ++skipped_;
  if (++in_row_ > wanted_.skips) {
    throw ConfigError(why + format("; that is more than failures.skips = %lld steps in a row",
                                   static_cast<long long>(wanted_.skips)));
  }
  if (!context_.first()) return;
  log_warning(why +
              format("; the step is left out (%lld so far)", static_cast<long long>(skipped_)));
}

// The passes once more, this time with a look at what each rank gives: slow, but it happens rarely.
// All ranks get the same text.
std::string RunGuard::find_origin() {
  faults_.repeat_step();
  const std::vector<std::string> all = context_.gather(origin_here());
  std::string first;
  for (std::size_t r = all.size(); r-- > 0;) {  // the last stage is the first in backward
    if (all[r].empty()) continue;
    first = "the first value that is not finite is in " + all[r] + " on rank " + std::to_string(r);
    break;
  }
  return context_.broadcast(first);
}

std::string RunGuard::origin_here() {
  std::string parameter;
  const double loss = training_->repeat_passes([&parameter](Parameter& p) {
    const bool fine = all_finite(p.grad) && all_finite(p.second_grad);
    if (parameter.empty() && !fine) parameter = "the gradient of " + p.name;
  });
  return std::isfinite(loss) ? parameter : "the loss";
}

// A late rank is a matter of the flight recorder: this all_gather has a deadline as well.
void RunGuard::look_for_stragglers() {
  if (device_->compute().recording()) return;  // a trace shows steps only
  const Communicator& world = mesh_->world();
  Tensor mine = Tensor::empty(*device_, {1}), all = Tensor::empty(*device_, {world.size()});
  const double steps = static_cast<double>(steps_), step_seconds = all_ / steps;
  kernels::fill(mine, static_cast<float>(own_ / steps), device_->compute());
  world.all_gather(all, mine).wait();
  own_ = all_ = 0;
  const std::int64_t first = step_ - std::exchange(steps_, 0) + 1;
  const auto slow = find_straggler(read_values(all), step_seconds, wanted_.straggler_factor);
  const int before = std::exchange(named_, slow ? slow->rank : -1);
  if (!slow || slow->rank == before || slow->rank != context_.rank()) return;
  log_warning(format(  // the slow one speaks: it knows where it is
      "this rank, %d on %s, is slow: %.1f ms of its own a step in steps %lld to %lld, "
      "%.1f times the median of all ranks; that costs %.0f %% of the time",
      slow->rank, host_name().c_str(), 1e3 * slow->seconds, static_cast<long long>(first),
      static_cast<long long>(step_), slow->seconds / slow->median, 100 * slow->share));
}

}  // namespace lockstep
