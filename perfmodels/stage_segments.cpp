// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/stage_segments.hpp"

#include <algorithm>
#include <string_view>

#include "perfmodels/stage_replay.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

using After = StretchItem::After;

bool is_phase(const Record& r) {
  return r.operation.kind == OperationKind::phase;
}

bool is_sent(const Record& r) {
  const std::string_view name = r.operation.name;
  return r.stream == StreamKind::communication && (name == "send" || name == "receive");
}

const char* phase_name(ActionKind kind) {
  if (kind == ActionKind::forward) return "forward";
  return kind == ActionKind::backward_input ? "backward" : "backward_weight";
}

bool is_phase_of(const Record& r, const Action& a) {
  return is_phase(r) && std::string_view(r.operation.name) == phase_name(a.kind) &&
         r.operation.shape[1] == a.micro_batch && r.operation.shape[2] == a.chunk;
}

// Groups with ranks of one stage only.
bool is_of_one_stage(const OperationGroup& group) {
  return group.name == "data" || group.name == "tensor";
}

}  // namespace

KernelTotals& KernelTotals::operator+=(const KernelTotals& other) {
  gemm += other.gemm;
  attention += other.attention;
  streaming += other.streaming;
  optimizer += other.optimizer;
  data += other.data;
  launch += other.launch;
  recompute += other.recompute;
  flops += other.flops;
  flops_again += other.flops_again;
  return *this;
}

bool weights_at_once(const std::vector<Action>& actions, std::size_t at) {
  const Action& half = actions[at];
  const bool input = half.kind == ActionKind::backward_input;
  if (!input && half.kind != ActionKind::backward_weight) return false;
  const Action other{input ? ActionKind::backward_weight : ActionKind::backward_input,
                     half.micro_batch, half.chunk};
  const auto here = actions.begin() + static_cast<std::ptrdiff_t>(at);
  const auto computes = [](const Action& a) { return is_compute(a.kind); };
  if (input) {
    const auto next = std::find_if(here + 1, actions.end(), computes);
    return next != actions.end() && *next == other;
  }
  const auto before = std::find_if(std::make_reverse_iterator(here), actions.rend(), computes);
  return before != actions.rend() && *before == other;
}

// Goes through the records once, in step with the actions.
class StageSegments::Cutter {
 public:
  Cutter(StageSegments& into, const RoleRecord& role, OperationTimes& times)
      : into_(into), records_(role.recording.records()), times_(times) {}

  void cut(const std::vector<Action>& actions) {
    cut_until(into_.before_, begin_of(actions.front()));
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const Action& a = actions[i];
      if (!is_compute(a.kind)) {
        expect(at_ < records_.size() && is_sent(records_[at_]), "a message that was not recorded");
        into_.messages_.emplace(std::pair{a.kind, a.chunk}, records_[at_].operation);
        ++at_;
        continue;
      }
      const Key key{a.kind, a.chunk, weights_at_once(actions, i), a.micro_batch};
      cut_until(into_.passes_[key], end_of(a));
    }
    cut_until(into_.behind_, records_.size());
  }

 private:
  // The record that ends a pass: behind what belongs to it.
  std::size_t end_of(const Action& a) const {
    std::size_t i = at_;
    while (i < records_.size() && !is_phase_of(records_[i], a))
      ++i;
    expect(i < records_.size(), "a pass that was not recorded");
    return i + 1;
  }
  std::size_t begin_of(const Action& a) const {
    if (is_compute(a.kind)) {
      const std::size_t end = end_of(a);
      return end - 1 - static_cast<std::size_t>(records_[end - 1].operation.shape[0]);
    }
    const auto message = std::find_if(records_.begin(), records_.end(), is_sent);
    return static_cast<std::size_t>(message - records_.begin());
  }

  void cut_until(Stretch& stretch, std::size_t end) {
    const std::size_t first = at_;
    const std::vector<bool> again = in_phase("recompute", first, end);
    const std::vector<bool> updates = in_phase("update", first, end);
    for (bool open = false; at_ < end; ++at_) {
      const Record& r = records_[at_];
      if (is_phase(r)) continue;
      open = r.stream == StreamKind::compute && add_kernel(stretch, r, open);
      if (open) count(stretch.kernels, r.operation, updates[at_ - first], again[at_ - first]);
      if (!open) add_communication(stretch, r);
    }
  }

  std::vector<bool> in_phase(std::string_view name, std::size_t first, std::size_t end) const {
    std::vector<bool> in(end - first);
    for (std::size_t i = first; i < end; ++i) {
      const Operation& o = records_[i].operation;
      if (o.kind != OperationKind::phase || o.name != name) continue;
      const std::size_t begin = i - static_cast<std::size_t>(o.shape[0]);
      std::fill_n(in.begin() + static_cast<std::ptrdiff_t>(begin - first), i - begin, true);
    }
    return in;
  }

  bool add_kernel(Stretch& stretch, const Record& r, bool open) {
    const Figure seconds = sum(times_.of(r.operation).seconds, launch_of(r.operation));
    wait_besides(stretch, r);
    const auto [after, back] = wait_of(r.after);
    if (open && after == After::nothing) {
      stretch.items.back().seconds = sum(stretch.items.back().seconds, seconds);
    } else {
      stretch.items.push_back({StreamKind::compute, after, back, seconds});
    }
    return true;
  }
  const Figure& launch_of(const Operation& o) const { return times_.kernels().profile(o).launch; }

  void count(KernelTotals& k, const Operation& o, bool updates, bool again) const {
    const double alone = times_.of(o).seconds.value, launch = launch_of(o).value;
    const bool product = o.kind == OperationKind::gemm || o.kind == OperationKind::attention;
    (updates                                ? k.optimizer
     : o.name == std::string_view("upload") ? k.data
     : is_of_attention(o)                   ? k.attention
     : o.kind == OperationKind::gemm        ? k.gemm
                                            : k.streaming) += alone;
    k.launch += launch;
    if (again) k.recompute += alone + launch;
    if (product) (again ? k.flops_again : k.flops) += o.flops;
    // Backward computes the scores again: a fifth product beside the four that are counted.
    if (o.name == std::string_view("attention_backward")) k.flops_again += o.flops / 4;
  }

  // Of several lanes: one item without seconds for each of the others. In one queue the last says
  // it all.
  void wait_besides(Stretch& stretch, const Record& r) {
    if (!communicates_apart(times_.machine())) return;
    for (const int other : r.besides) {
      const auto [after, back] = wait_of(other);
      if (records_[static_cast<std::size_t>(other)].stream == StreamKind::communication)
        stretch.items.push_back({StreamKind::compute, after, back});
    }
  }

  void add_communication(Stretch& stretch, const Record& r) {
    wait_besides(stretch, r);
    StretchItem item{.stream = StreamKind::communication,
                     .after = r.after >= 0 ? After::kernels : After::nothing,
                     .seconds = times_.of(r.operation).seconds,
                     .operation = &r.operation,
                     .lane = r.lane};
    const OperationGroup* group = r.operation.group;
    item.joint = group && group->ranks > 1 && !is_of_one_stage(*group);
    ordinal_.emplace(static_cast<int>(at_), ++collectives_);
    stretch.items.push_back(item);
  }

  std::pair<After, int> wait_of(int record) const {
    if (record < 0) return {After::nothing, 0};
    const Record& other = records_[static_cast<std::size_t>(record)];
    if (is_sent(other)) {
      const bool receives = std::string_view(other.operation.name) == "receive";
      return {receives ? After::message : After::messages, 0};
    }
    return {After::collective, collectives_ - ordinal_.at(record) + 1};
  }

  StageSegments& into_;
  const std::vector<Record>& records_;
  OperationTimes& times_;
  std::size_t at_ = 0;
  int collectives_ = 0;         // so far, without messages
  std::map<int, int> ordinal_;  // among them, of a record
};

StageSegments::StageSegments(const RoleRecord& role, const PipelineSchedule& schedule,
                             OperationTimes& times) {
  Cutter(*this, role, times).cut(schedule.stages[static_cast<std::size_t>(role.stage)]);
}

const Stretch& StageSegments::pass(const Action& a, bool at_once) const {
  const auto found = passes_.find({a.kind, a.chunk, at_once, a.micro_batch});
  if (found != passes_.end()) return found->second;
  auto near = passes_.lower_bound({a.kind, a.chunk, at_once, a.micro_batch});
  const auto serves = [&](auto it) {
    const auto& [kind, chunk, once, micro_batch] = it->first;
    return kind == a.kind && chunk == a.chunk && once == at_once;
  };
  if (near == passes_.end() || !serves(near)) {
    expect(near != passes_.begin(), "a pass that no stage of its kind makes");
    --near;
  }
  expect(serves(near), "a pass that no stage of its kind makes");
  return near->second;
}

const Operation& StageSegments::message(ActionKind kind, int chunk) const {
  const auto found = messages_.find({kind, chunk});
  expect(found != messages_.end(), "a message that no stage of its kind sends");
  return found->second;
}

}  // namespace lockstep
