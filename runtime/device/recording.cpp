// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/recording.hpp"

#include <algorithm>
#include <utility>

namespace lockstep {

int Recording::add(const Operation& operation, StreamKind stream, double begin, double end) {
  std::lock_guard lock(mutex_);
  Record& record = records_.emplace_back(Record{operation, stream, begin, end});
  if (operation.group) record.operation.group = keep(*operation.group);
  const int number = static_cast<int>(records_.size()) - 1;
  if (operation.kind == OperationKind::phase) return number;
  const auto s = static_cast<std::size_t>(stream);
  record.after = std::exchange(wait_for_[s], -1);
  last_[s] = number;
  return number;
}

void Recording::set_times(int record, double begin, double end) {
  std::lock_guard lock(mutex_);
  Record& known = records_.at(static_cast<std::size_t>(record));
  known.begin = begin;
  known.end = end;
}

void Recording::clear() {
  std::lock_guard lock(mutex_);
  records_.clear();
  last_ = wait_for_ = {-1, -1};
}

void Recording::wait(StreamKind stream, int record) {
  std::lock_guard lock(mutex_);
  int& wait_for = wait_for_[static_cast<std::size_t>(stream)];
  const bool of_other = record >= 0 && record < static_cast<int>(records_.size()) &&
                        records_[static_cast<std::size_t>(record)].stream != stream;
  if (of_other) wait_for = std::max(wait_for, record);
}

int Recording::size() {
  std::lock_guard lock(mutex_);
  return static_cast<int>(records_.size());
}

// A job has a handful.
const OperationGroup* Recording::keep(const OperationGroup& group) {
  const auto known = std::find(groups_.begin(), groups_.end(), group);
  return known != groups_.end() ? &*known : &groups_.emplace_back(group);
}

namespace {

double product_flops(const Operation& o) {
  const bool product = o.kind == OperationKind::gemm || o.kind == OperationKind::attention;
  return product ? o.flops : 0;
}

}  // namespace

double model_flops(const Recording& recording) {
  const std::vector<Record>& records = recording.records();
  double flops = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Operation& o = records[i].operation;
    flops += product_flops(o);
    if (o.kind != OperationKind::phase || o.name != std::string("recompute")) continue;
    for (std::size_t k = i - static_cast<std::size_t>(o.shape[0]); k < i; ++k)
      flops -= product_flops(records[k].operation);
  }
  return flops;
}

}  // namespace lockstep
