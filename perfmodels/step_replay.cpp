// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/step_replay.hpp"

#include <algorithm>
#include <limits>

namespace lockstep {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

bool is_phase(const Record& r) {
  return r.operation.kind == OperationKind::phase;
}

// Of the records [first, last) of a stream; {never, 0} if there is none.
Span span_of(const std::vector<Span>& spans, const std::vector<Record>& records, std::size_t first,
             std::size_t last, StreamKind stream) {
  Span span{kNever, 0};
  for (std::size_t k = first; k < last; ++k) {
    if (records[k].stream != stream || is_phase(records[k])) continue;
    span.begin = std::min(span.begin, spans[k].begin);
    span.end = std::max(span.end, spans[k].end);
  }
  return span;
}

}  // namespace

double end_of(const std::vector<Span>& spans) {
  double end = 0;
  for (const Span& s : spans)
    end = std::max(end, s.end);
  return end;
}

void set_phases(std::vector<Span>& spans, const std::vector<Record>& records) {
  double computed = 0;  // the end of the last kernel so far
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (is_phase(records[i])) {
      const auto count = std::min(static_cast<std::size_t>(records[i].operation.shape[0]), i);
      const Span kernels = span_of(spans, records, i - count, i, StreamKind::compute);
      const Span sent = span_of(spans, records, i - count, i, StreamKind::communication);
      if (kernels.end > 0) spans[i] = kernels;
      if (kernels.end == 0 && sent.end > 0) spans[i] = {std::min(computed, sent.end), sent.end};
    } else if (records[i].stream == StreamKind::compute) {
      computed = spans[i].end;
    }
  }
}

Queues queues_of(const Machine& machine) {
  return communicates_apart(machine) ? Queues::each_lane : Queues::one;
}

namespace {

// The records of one rank as items.
class Items {
 public:
  Items(const std::vector<Record>& records, Queues queues)
      : records_(records), queues_(queues), places_(records.size()) {}

  void add(std::size_t i, double seconds, double late) {
    const Record& r = records_[i];
    ReplayItem item{.seconds = seconds, .after = place_at(r.after), .late = late};
    if (queues_ == Queues::each_lane) {
      // Which no rank of a pipeline makes that has one stage.
      item.lane = r.lane == Lane::pipeline ? Lane::world : r.lane;
      item.path = path_of(r.operation);
      wait_besides(r, item);
    }
    auto& items = r.stream == StreamKind::compute ? items_.compute : items_.communication;
    places_[i] = static_cast<int>(items.size());
    items.push_back(item);
  }

  const StageItems& items() const { return items_; }
  std::size_t place(std::size_t record) const { return static_cast<std::size_t>(places_[record]); }

 private:
  int place_at(int record) const {
    return record < 0 ? -1 : places_[static_cast<std::size_t>(record)];
  }

  // The compute stream waits for one lane after the other, and another lane for it.
  void wait_besides(const Record& r, ReplayItem& item) {
    for (const int other : r.besides) {
      items_.compute.push_back({.after = place_at(other)});
      if (r.stream == StreamKind::communication)
        item.after = static_cast<int>(items_.compute.size()) - 1;
    }
  }

  const std::vector<Record>& records_;
  Queues queues_;
  std::vector<int> places_;  // in its stream
  StageItems items_{};
};

}  // namespace

std::vector<Span> replay(const std::vector<Record>& records, const std::vector<double>& seconds,
                         const Slowdowns& slowdowns, const std::vector<double>& late,
                         Queues queues) {
  Items rank(records, queues);
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!is_phase(records[i])) rank.add(i, seconds[i], late.empty() ? 0 : late[i]);
  }
  const StageSpans done = replay({rank.items()}, {}, slowdowns).front();
  std::vector<Span> spans(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (is_phase(records[i])) continue;
    const bool computes = records[i].stream == StreamKind::compute;
    spans[i] = (computes ? done.compute : done.communication)[rank.place(i)];
  }
  set_phases(spans, records);
  return spans;
}

}  // namespace lockstep
