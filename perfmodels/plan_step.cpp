// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_step.hpp"

#include <algorithm>
#include <string_view>

#include "collectives/algorithms/table.hpp"
#include "perfmodels/skew.hpp"

namespace lockstep {

namespace {

constexpr int kNone = -1;

bool is_phase(const Record& r) {
  return r.operation.kind == OperationKind::phase;
}

std::vector<bool> waited_for(const std::vector<Record>& records) {
  std::vector<bool> waited(records.size());
  for (const Record& r : records) {
    if (r.after >= 0) waited[static_cast<std::size_t>(r.after)] = true;
    for (const int other : r.besides)
      waited[static_cast<std::size_t>(other)] = true;
  }
  return waited;
}

// The first record of this phase.
std::size_t find_phase(const std::vector<Record>& records, std::string_view name) {
  const auto found = std::find_if(records.begin(), records.end(), [&](const Record& r) {
    return is_phase(r) && r.operation.name == name;
  });
  return static_cast<std::size_t>(found - records.begin());
}

double value_of(const Figure& f) {
  return f.value;
}

const Algorithm* algorithm_for(const Machine& machine, const Operation& op, std::string_view name) {
  for (const Algorithm* a : algorithms()) {
    if (a->name() != name || std::string_view(name_of(a->what)) != op.name) continue;
    const GroupShape group = shape_of(machine, op);
    const double bytes = static_cast<double>(op.shape[0]) * static_cast<double>(size_of(op.dtype));
    const bool serves = !a->refusal(group) && bytes <= static_cast<double>(a->largest);
    return serves ? a : nullptr;
  }
  return nullptr;
}

}  // namespace

ShortStep::ShortStep(const StepRecord& record, OperationTimes& times) : times_(times) {
  const std::vector<Record>& all = record.recording.records();
  const std::vector<bool> waited = waited_for(all);
  // The first micro-batch: nothing is communicated behind it, as it is behind the last.
  const std::size_t forward = find_phase(all, "forward"), end = find_phase(all, "backward");
  const std::size_t begin =
      forward < all.size() ? forward - static_cast<std::size_t>(all[forward].operation.shape[0])
                           : 0;
  std::vector<int> place(all.size(), kNone);
  bool open = false;  // the last record here is a run that may grow
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (is_phase(all[i])) continue;
    Record r = all[i];
    const bool computes = r.stream == StreamKind::compute;
    double seconds = times.of(r.operation).seconds.value;
    if (computes) seconds += times.kernels().profile(r.operation).launch.value;
    if (computes && begin <= i && i < end) micro_seconds_ += seconds;
    if (r.after >= 0) r.after = place[static_cast<std::size_t>(r.after)];
    for (int& other : r.besides)
      other = place[static_cast<std::size_t>(other)];
    append(r, seconds, open && computes && r.after < 0 && r.besides.empty());
    place[i] = static_cast<int>(records_.size()) - 1;
    open = computes && !waited[i];
  }
}

void ShortStep::append(const Record& record, double seconds, bool joins) {
  if (joins) {
    seconds_.back() += seconds;
    return;
  }
  records_.push_back(record);
  seconds_.push_back(seconds);
}

ShortStep::Times ShortStep::replayed(const std::string& algorithm,
                                     const Slowdowns& slowdowns) const {
  std::vector<double> seconds = seconds_;
  for (std::size_t i = 0; i < records_.size() && algorithm != "auto"; ++i) {
    Operation op = records_[i].operation;
    if (op.kind != OperationKind::collective || op.ranks <= 1) continue;
    const Algorithm* by = algorithm_for(times_.machine(), op, algorithm);
    if (!by) continue;
    op.detail = by->label;
    seconds[i] = times_.of(op).seconds.value;
  }
  const Queues queues = queues_of(times_.machine());
  const std::vector<Span> spans = replay(records_, seconds, slowdowns, {}, queues);
  Times t;
  double communicating = 0;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const double took = spans[i].end - spans[i].begin;
    t.end = std::max(t.end, spans[i].end);
    if (records_[i].stream == StreamKind::compute) {
      t.compute += seconds[i];
      t.computing += took;
    } else {
      communicating += took;
    }
  }
  // Some stream is always at work.
  t.exposed = t.end - t.computing;
  t.hidden = std::max(communicating - t.exposed, 0.0);
  const std::vector<double> late = lateness_of(records_, seconds, times_.machine(), value_of);
  t.waiting = end_of(replay(records_, seconds, slowdowns, late, queues)) - t.end;
  t.end += t.waiting;
  return t;
}

std::vector<std::string> ShortStep::algorithms() const {
  std::vector<std::string> names;
  for (const Algorithm* a : lockstep::algorithms()) {
    const std::string name(a->name());
    if (a->what != Collective::all_reduce) continue;
    const bool serves = std::any_of(records_.begin(), records_.end(), [&](const Record& r) {
      return r.operation.kind == OperationKind::collective && r.operation.ranks > 1 &&
             algorithm_for(times_.machine(), r.operation, name);
    });
    if (serves) names.push_back(name);
  }
  return names;
}

}  // namespace lockstep
