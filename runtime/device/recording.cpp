// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/recording.hpp"

namespace lockstep {

void Recording::add(const Operation& operation, StreamKind stream, double begin, double end) {
  std::lock_guard lock(mutex_);
  records_.push_back({operation, stream, begin, end});
}

double model_flops(const Recording& recording) {
  double flops = 0;
  for (const Record& r : recording.records()) {
    const OperationKind kind = r.operation.kind;
    if (kind == OperationKind::gemm || kind == OperationKind::attention) flops += r.operation.flops;
  }
  return flops;
}

}  // namespace lockstep
