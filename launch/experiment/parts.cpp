// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/parts.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "perfmodels/validate/transfers.hpp"

namespace lockstep {

namespace {

struct Stretch {
  double begin, end;
};

// One rank's share of a trace.
struct RankTrace {
  std::vector<Stretch> kernels{}, updates{};
  std::vector<std::pair<const MeasuredOperation*, double>> calls{};  // with their transfer
  double begin = std::numeric_limits<double>::infinity(), end = 0;
};

bool is_in(const std::vector<Stretch>& all, double time) {
  return std::any_of(all.begin(), all.end(),
                     [time](const Stretch& s) { return s.begin <= time && time < s.end; });
}

std::vector<RankTrace> by_rank(const MeasuredTrace& trace) {
  std::vector<RankTrace> ranks(static_cast<std::size_t>(trace.ranks));
  const std::vector<double> transfers = transfers_of(trace);
  for (std::size_t i = 0; i < trace.operations.size(); ++i) {
    const MeasuredOperation& m = trace.operations[i];
    RankTrace& r = ranks[static_cast<std::size_t>(m.rank)];
    const Stretch span{m.begin, m.begin + m.seconds};
    if (m.operation.name == std::string_view("evaluate")) continue;
    if (m.operation.kind == OperationKind::collective) {
      r.calls.emplace_back(&m, transfers[i]);
    } else if (m.operation.kind != OperationKind::phase) {
      r.kernels.push_back(span);
    } else if (m.operation.name == std::string_view("update")) {
      r.updates.push_back(span);
    }
    r.begin = std::min(r.begin, span.begin);
    r.end = std::max(r.end, span.end);
  }
  for (RankTrace& r : ranks)
    std::sort(r.kernels.begin(), r.kernels.end(),
              [](const Stretch& a, const Stretch& b) { return a.begin < b.begin; });
  return ranks;
}

// The seconds of a stretch in which no kernel runs; kernels are in order and do not overlap.
double exposed_of(const Stretch& of, const std::vector<Stretch>& kernels) {
  auto next = std::partition_point(kernels.begin(), kernels.end(),
                                   [&of](const Stretch& k) { return k.end <= of.begin; });
  double hidden = 0;
  for (; next != kernels.end() && next->begin < of.end; ++next)
    hidden += std::min(next->end, of.end) - std::max(next->begin, of.begin);
  return std::max(0.0, of.end - of.begin - hidden);
}

// The shortest of each kind of message is taken as the time that it travels.
using Kind = std::pair<std::string, std::int64_t>;
std::map<Kind, double> shortest_messages(const MeasuredTrace& trace) {
  std::map<Kind, double> shortest;
  for (const MeasuredOperation& m : trace.operations) {
    if (m.operation.kind != OperationKind::collective || !is_message(m)) continue;
    const auto [found, is_new] =
        shortest.try_emplace({m.operation.name, m.operation.shape[0]}, m.seconds);
    if (!is_new) found->second = std::min(found->second, m.seconds);
  }
  return shortest;
}

void add_calls(StepParts& parts, const RankTrace& rank, const std::map<Kind, double>& shortest) {
  for (const auto& [call, transfer] : rank.calls) {
    const double begin = call->begin, end = call->begin + call->seconds;
    if (is_message(*call)) {
      const double exposed = exposed_of({begin, end}, rank.kernels);
      const double travels = shortest.at({call->operation.name, call->operation.shape[0]});
      parts[StepPart::communication] += std::min(exposed, travels);
      parts[StepPart::bubble] += std::max(0.0, exposed - travels);
    } else {
      parts[StepPart::waiting] += exposed_of({begin, end - transfer}, rank.kernels);
      parts[StepPart::communication] += exposed_of({end - transfer, end}, rank.kernels);
    }
  }
}

}  // namespace

const char* name_of(StepPart part) {
  constexpr const char* kNames[] = {"computing", "optimizer", "communication",
                                    "waiting",   "bubble",    "other"};
  return kNames[static_cast<int>(part)];
}

const char* title_of(StepPart part) {
  constexpr const char* kTitles[] = {"forward and backward",  "optimizer",
                                     "exposed communication", "waiting for the last rank",
                                     "pipeline bubble",       "everything else"};
  return kTitles[static_cast<int>(part)];
}

double StepParts::total() const {
  return std::accumulate(seconds.begin(), seconds.end(), 0.0);
}

StepParts parts_of(const Breakdown& b) {
  StepParts parts;
  parts[StepPart::computing] = b.gemm + b.attention + b.streaming;
  parts[StepPart::optimizer] = b.optimizer;
  parts[StepPart::communication] = b.exposed;
  parts[StepPart::waiting] = b.waiting.value;
  parts[StepPart::bubble] = b.bubble;
  parts[StepPart::other] = b.data + b.launch;
  return parts;
}

StepParts parts_of(const MeasuredTrace& trace) {
  const std::map<Kind, double> shortest = shortest_messages(trace);
  const std::vector<RankTrace> ranks = by_rank(trace);
  StepParts parts;
  double all = 0;
  for (const RankTrace& rank : ranks) {
    for (const Stretch& k : rank.kernels)
      parts[is_in(rank.updates, k.begin) ? StepPart::optimizer : StepPart::computing] +=
          k.end - k.begin;
    add_calls(parts, rank, shortest);
    all += std::max(0.0, rank.end - rank.begin);
  }
  parts[StepPart::other] = std::max(0.0, all - parts.total());
  for (double& s : parts.seconds)
    s /= static_cast<double>(ranks.size()) * trace.steps;
  return parts;
}

}  // namespace lockstep
