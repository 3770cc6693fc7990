// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/work_depth.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

namespace lockstep {

namespace {

double tree(std::int64_t terms) {
  return terms > 1 ? std::ceil(std::log2(static_cast<double>(terms))) : 0;
}

// Forward: scores over D, softmax over T (a maximum, exp, a sum, a division), values over T.
// Backward computes the scores again, and then dV and dP, the softmax's gradient, dQ and dK.
double attention_depth(const Operation& op) {
  const double over_tokens = tree(op.shape[1]), over_channels = tree(op.shape[3]);
  const double forward = 1 + over_channels + 2 * over_tokens + 2 + 1 + over_tokens;
  if (!std::strstr(op.name, "backward")) return forward;
  return forward + (1 + over_channels) + (over_tokens + 2) + (1 + over_tokens);
}

double depth_of(const Operation& op) {
  switch (op.kind) {
    case OperationKind::gemm:
      return 1 + tree(op.shape[2]);
    case OperationKind::attention:
      return attention_depth(op);
    case OperationKind::collective:
      return tree(op.ranks);
    case OperationKind::streaming: {
      if (op.flops <= 0) return 0;  // moves
      const auto count = static_cast<double>(std::max<std::int64_t>(op.shape[0], 1));
      return std::max(op.flops / count, 1.0) + tree(op.shape[0]);
    }
    case OperationKind::phase:
      break;
  }
  return 0;
}

}  // namespace

double WorkDepth::least(double p) const {
  return std::max(work / p, depth);
}

double WorkDepth::most(double p) const {
  return (work - depth) / p + depth;
}

WorkDepth work_depth_of(const Operation& operation) {
  if (operation.kind == OperationKind::phase) return {};
  // A kernel of less work than its bound on depth does one operation after another.
  return {operation.flops, std::min(depth_of(operation), operation.flops)};
}

WorkDepth work_depth_of(const Recording& recording,
                        const std::function<WorkDepth(const Operation&)>& cost) {
  const auto& records = recording.records();
  WorkDepth all;
  std::vector<double> end(records.size(), 0);
  std::array<double, 2> stream_end{};
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& r = records[i];
    if (r.operation.kind == OperationKind::phase) continue;
    const WorkDepth own = cost ? cost(r.operation) : work_depth_of(r.operation);
    double& stream = stream_end[static_cast<std::size_t>(r.stream)];
    const double begin =
        r.after >= 0 ? std::max(stream, end[static_cast<std::size_t>(r.after)]) : stream;
    stream = end[i] = begin + own.depth;
    all.work += own.work;
    all.depth = std::max(all.depth, end[i]);
  }
  return all;
}

}  // namespace lockstep
