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

std::vector<Span> replay(const std::vector<Record>& records, const std::vector<double>& seconds,
                         const Slowdowns& slowdowns, const std::vector<double>& late) {
  std::vector<StageItems> rank(1);
  std::vector<int> place(records.size());  // in its stream
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& r = records[i];
    if (is_phase(r)) continue;
    auto& items =
        r.stream == StreamKind::compute ? rank.front().compute : rank.front().communication;
    place[i] = static_cast<int>(items.size());
    items.push_back({.seconds = seconds[i],
                     .after = r.after < 0 ? -1 : place[static_cast<std::size_t>(r.after)],
                     .late = late.empty() ? 0 : late[i]});
  }
  const std::vector<StageSpans> done = replay(rank, {}, slowdowns);
  std::vector<Span> spans(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (is_phase(records[i])) continue;
    const auto& of = records[i].stream == StreamKind::compute ? done.front().compute
                                                              : done.front().communication;
    spans[i] = of[static_cast<std::size_t>(place[i])];
  }
  set_phases(spans, records);
  return spans;
}

}  // namespace lockstep
