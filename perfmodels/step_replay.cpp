// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/step_replay.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// One stream: what it still has to do, in order.
struct Queue {
  std::vector<int> records{};
  std::size_t next = 0;
  double left = 0;  // of the record at work, as if alone
  bool at_work = false;

  bool empty() const { return next == records.size(); }
  int front() const { return records[next]; }
};

class Replay {
 public:
  Replay(const std::vector<Record>& records, const std::vector<double>& seconds,
         const Slowdowns& slowdowns)
      : records_(records),
        seconds_(seconds),
        slower_{slowdowns.compute, slowdowns.communication},
        spans_(records.size()),
        ended_(records.size()) {
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (records[i].operation.kind == OperationKind::phase) continue;
      queues_[static_cast<std::size_t>(records[i].stream)].records.push_back(static_cast<int>(i));
    }
  }

  std::vector<Span> run() {
    while (!queues_[0].empty() || !queues_[1].empty()) {
      for (Queue& q : queues_)
        start(q);
      advance();
    }
    set_phases();
    return std::move(spans_);
  }

 private:
  void start(Queue& q) {
    if (q.at_work || q.empty()) return;
    const auto i = static_cast<std::size_t>(q.front());
    const int after = records_[i].after;
    if (after >= 0 && !ended_[static_cast<std::size_t>(after)]) return;
    q.at_work = true;
    q.left = seconds_[i];
    spans_[i].begin = now_;
  }

  // To the next end of a record.
  void advance() {
    const bool both = queues_[0].at_work && queues_[1].at_work;
    double step = kNever;
    std::size_t first = 0;
    for (std::size_t s = 0; s < 2; ++s) {
      if (!queues_[s].at_work) continue;
      const double needs = queues_[s].left * (both ? slower_[s] : 1);
      if (needs < step) {
        step = needs;
        first = s;
      }
    }
    expect(step < kNever, "a recording in which the streams wait for each other");
    now_ += step;
    for (std::size_t s = 0; s < 2; ++s) {
      Queue& q = queues_[s];
      if (q.at_work) q.left = std::max(0.0, q.left - step / (both ? slower_[s] : 1));
    }
    finish(queues_[first]);
  }

  void finish(Queue& q) {
    const auto i = static_cast<std::size_t>(q.front());
    spans_[i].end = now_;
    ended_[i] = true;
    q.at_work = false;
    ++q.next;
  }

  void set_phases() {
    double computed = 0;  // the end of the last kernel so far
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const Operation& o = records_[i].operation;
      if (o.kind == OperationKind::phase) {
        const auto count = std::min(static_cast<std::size_t>(o.shape[0]), i);
        const Span kernels = span_of(i - count, i, StreamKind::compute);
        const Span sent = span_of(i - count, i, StreamKind::communication);
        if (kernels.end > 0) spans_[i] = kernels;
        if (kernels.end == 0 && sent.end > 0) spans_[i] = {std::min(computed, sent.end), sent.end};
      } else if (records_[i].stream == StreamKind::compute) {
        computed = spans_[i].end;
      }
    }
  }
  // Of the records [first, last) of a stream; {never, 0} if there is none.
  Span span_of(std::size_t first, std::size_t last, StreamKind stream) const {
    Span span{kNever, 0};
    for (std::size_t k = first; k < last; ++k) {
      if (records_[k].stream != stream || records_[k].operation.kind == OperationKind::phase)
        continue;
      span.begin = std::min(span.begin, spans_[k].begin);
      span.end = std::max(span.end, spans_[k].end);
    }
    return span;
  }

  const std::vector<Record>& records_;
  const std::vector<double>& seconds_;
  std::array<double, 2> slower_;
  std::array<Queue, 2> queues_;
  std::vector<Span> spans_;
  std::vector<bool> ended_;
  double now_ = 0;
};

}  // namespace

bool shares_cores(const Machine& machine) {
  return machine.device == "cpu" &&
         machine.threads_per_device * machine.devices_per_node >= machine.cores_per_node;
}

Slowdowns slowdowns_of(const Machine& machine) {
  const bool shared = shares_cores(machine);
  const auto factor = [&](const Figure& f) { return f.known() ? f.value : shared ? 2 : 1; };
  Slowdowns s{factor(machine.overlap.compute_slowdown),
              factor(machine.overlap.communication_slowdown)};
  constexpr double kLeast = 1.05;  // nearer to 1 the kernels would stand still
  if (shared) {
    s.communication = std::max(s.communication, kLeast);
    s.compute = std::max(s.compute, s.communication / (s.communication - 1));
  }
  return s;
}

std::vector<Span> replay(const std::vector<Record>& records, const std::vector<double>& seconds,
                         const Slowdowns& slowdowns) {
  return Replay(records, seconds, slowdowns).run();
}

}  // namespace lockstep
