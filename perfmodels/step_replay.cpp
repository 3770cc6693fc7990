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
  double left = 0;   // of the record at work, as if alone
  double until = 0;  // when the last rank is there
  double delay = 0;  // before it is at work, if kernels are
  bool arrived = false, at_work = false;

  bool empty() const { return next == records.size(); }
  int front() const { return records[next]; }
};

class Replay {
 public:
  Replay(const std::vector<Record>& records, const std::vector<double>& seconds,
         const Slowdowns& slowdowns, const std::vector<double>& late)
      : records_(records),
        seconds_(seconds),
        late_(late),
        slower_{slowdowns.compute, slowdowns.communication},
        delay_(slowdowns.delay),
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
      if (!queues_[0].at_work) queues_[1].delay = 0;
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
    if (!q.arrived) {
      const double launched = after < 0 ? 0 : spans_[static_cast<std::size_t>(after)].end;
      q.until = late_.empty() ? 0 : launched + late_[i];
      q.left = seconds_[i];
      q.delay = delay_;
      q.arrived = true;
      spans_[i].begin = now_;
    }
    q.at_work = q.until <= now_;
  }

  // What a stream does of its work per second.
  double rate(std::size_t s) const {
    if (!queues_[s].at_work || (delayed() && s == 1)) return 0;
    return both() && !delayed() ? 1 / slower_[s] : 1;
  }
  bool both() const { return queues_[0].at_work && queues_[1].at_work; }
  bool delayed() const { return both() && queues_[1].delay > 0; }

  // To the next end of a record, of a delay, or the arrival of a last rank.
  void advance() {
    double next = kNever;
    Queue* ends = nullptr;
    const auto happens = [&](double at, Queue* queue) {
      if (at >= next) return;
      next = at;
      ends = queue;
    };
    for (std::size_t s = 0; s < 2; ++s) {
      Queue& q = queues_[s];
      if (rate(s) > 0) happens(now_ + q.left / rate(s), &q);
      if (q.arrived && !q.at_work) happens(q.until, nullptr);
    }
    double& delay = queues_[1].delay;
    const double late = delayed() ? now_ + delay : kNever;
    happens(late, nullptr);
    expect(next < kNever, "a recording in which the streams wait for each other");
    const std::array<double, 2> rates{rate(0), rate(1)};
    if (delayed()) delay = next == late ? 0 : delay - (next - now_);
    for (std::size_t s = 0; s < 2; ++s)
      queues_[s].left = std::max(0.0, queues_[s].left - (next - now_) * rates[s]);
    now_ = next;
    if (ends) finish(*ends);
  }

  void finish(Queue& q) {
    const auto i = static_cast<std::size_t>(q.front());
    spans_[i].end = now_;
    ended_[i] = true;
    q.arrived = q.at_work = false;
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
  const std::vector<double>&seconds_, &late_;
  std::array<double, 2> slower_;
  double delay_;
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
              factor(machine.overlap.communication_slowdown), machine.overlap.delay.value};
  constexpr double kLeast = 1.05;  // nearer to 1 the kernels would stand still
  if (shared) {
    s.communication = std::max(s.communication, kLeast);
    s.compute = std::max(s.compute, s.communication / (s.communication - 1));
  }
  return s;
}

std::vector<Span> replay(const std::vector<Record>& records, const std::vector<double>& seconds,
                         const Slowdowns& slowdowns, const std::vector<double>& late) {
  return Replay(records, seconds, slowdowns, late).run();
}

}  // namespace lockstep
