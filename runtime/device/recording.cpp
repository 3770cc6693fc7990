// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/recording.hpp"

#include <algorithm>
#include <utility>

namespace lockstep {

Lane lane_of(std::string_view group) {
  if (group == "data") return Lane::data;
  if (group == "tensor") return Lane::tensor;
  return group == "pipeline" ? Lane::pipeline : Lane::world;
}

int Recording::add(const Operation& operation, StreamKind stream, double begin, double end,
                   Lane lane) {
  std::lock_guard lock(mutex_);
  Record& record = records_.emplace_back(Record{operation, stream, begin, end});
  record.lane = lane;
  if (operation.group) record.operation.group = keep(*operation.group);
  const int number = static_cast<int>(records_.size()) - 1;
  if (operation.kind == OperationKind::phase) return number;
  const std::size_t s = place_of(stream, lane);
  set_edges(record, wait_for_[s]);
  last_[s] = number;
  return number;
}

// The latest record of the other kind is `after`.
void Recording::set_edges(Record& record, RecordByStream& waited_for) const {
  for (int& other : waited_for) {
    if (other < 0) continue;
    const bool other_kind = records_[static_cast<std::size_t>(other)].stream != record.stream;
    if (other_kind && other > record.after) std::swap(other, record.after);
    if (other >= 0) record.besides.push_back(other);
    other = -1;
  }
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
  last_ = kNone;
  wait_for_.fill(kNone);
}

RecordByStream Recording::reached(StreamKind stream, Lane lane) const {
  const std::size_t s = place_of(stream, lane);
  RecordByStream reached = wait_for_[s];
  reached[s] = last_[s];
  return reached;
}

void Recording::wait(StreamKind stream, const RecordByStream& records, Lane lane) {
  for (const int record : records)
    wait(stream, record, lane);
}

void Recording::wait(StreamKind stream, int record, Lane lane) {
  std::lock_guard lock(mutex_);
  if (record < 0 || record >= static_cast<int>(records_.size())) return;
  const Record& other = records_[static_cast<std::size_t>(record)];
  const std::size_t s = place_of(stream, lane), from = place_of(other.stream, other.lane);
  if (s != from) wait_for_[s][from] = std::max(wait_for_[s][from], record);
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
