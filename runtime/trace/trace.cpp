// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/trace.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "runtime/base/clock.hpp"
#include "runtime/base/file.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

// Whole nanoseconds, so that rounding cannot make a kernel stick out of its phase.
std::int64_t nanoseconds(double seconds) {
  return std::llround(seconds * 1e9);
}

Json shape_of(const Operation& operation) {
  const auto& s = operation.shape;
  switch (operation.kind) {
    case OperationKind::gemm:
      return {{"m", s[0]}, {"n", s[1]}, {"k", s[2]}};
    case OperationKind::attention:
      return {{"B", s[0]}, {"T", s[1]}, {"H", s[2]}, {"D", s[3]}};
    case OperationKind::streaming:
    case OperationKind::collective:
      return {{"count", s[0]}};
    case OperationKind::phase:
      break;
  }
  return Json::object();
}

const char* category_of(OperationKind kind) {
  constexpr const char* kNames[] = {"gemm", "attention", "streaming", "collective", "phase"};
  return kNames[static_cast<int>(kind)];
}

Json args_of(const Record& record) {
  const Operation& operation = record.operation;
  if (operation.kind == OperationKind::phase) return Json::object();
  const double seconds = record.end - record.begin;
  const double bytes = operation.bytes_read + operation.bytes_written;

  Json args{{"shape", shape_of(operation)}, {"flops", operation.flops}, {"bytes", bytes}};
  if (seconds > 0 && operation.flops > 0) args["GFLOP/s"] = operation.flops / seconds * 1e-9;
  if (seconds > 0 && bytes > 0) args["GB/s"] = bytes / seconds * 1e-9;
  const bool collective = operation.kind == OperationKind::collective;
  if (collective || *operation.detail) args["by"] = operation.detail;
  if (collective || operation.dtype != DType::float32) args["dtype"] = name_of(operation.dtype);
  if (collective) {
    args["ranks"] = operation.ranks;
    args["memory"] = operation.memory;
    if (operation.group) {
      args["group"] = operation.group->name;
      args["nodes"] = operation.group->nodes;
    }
  }
  return args;
}

// A complete event; `ts` and `dur` are microseconds.
Json event_of(const Record& record, int rank, double origin) {
  const std::int64_t begin = nanoseconds(record.begin - origin);
  const std::int64_t end = nanoseconds(record.end - origin);
  return {{"name", record.operation.name},
          {"cat", category_of(record.operation.kind)},
          {"ph", "X"},
          {"ts", begin * 1e-3},
          {"dur", (end - begin) * 1e-3},
          {"pid", rank},
          {"tid", static_cast<int>(place_of(record.stream, record.lane))},
          {"args", args_of(record)}};
}

Json label(const char* what, int rank, int track, const std::string& name) {
  return {{"name", what}, {"ph", "M"}, {"pid", rank}, {"tid", track}, {"args", {{"name", name}}}};
}

// A phase is recorded when it ends, viewers want what encloses first.
std::vector<Record> in_order(const Recording& recording) {
  std::vector<Record> records;
  std::copy_if(recording.records().begin(), recording.records().end(), std::back_inserter(records),
               [](const Record& r) { return r.end > 0; });
  std::stable_sort(records.begin(), records.end(), [](const Record& a, const Record& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  return records;
}

bool has_lanes(const Recording& recording) {
  return std::any_of(recording.records().begin(), recording.records().end(),
                     [](const Record& r) { return r.lane != Lane::world; });
}

}  // namespace

double trace_origin(const Context& context) {
  context.barrier();
  return now();
}

std::string trace_events(const Recording& recording, int rank, double origin) {
  std::string events = label("process_name", rank, 0, "rank " + std::to_string(rank)).dump();
  const char* const kTracks[] = {"compute", "communication", "communication data",
                                 "communication tensor", "communication pipeline"};
  const int tracks = has_lanes(recording) ? 5 : 2;
  for (int track = 0; track < tracks; ++track) {
    events += ",\n" + label("thread_name", rank, track, kTracks[track]).dump();
  }
  for (const Record& record : in_order(recording)) {
    events += ",\n" + event_of(record, rank, origin).dump();
  }
  return events;
}

std::string chrome_trace(const std::vector<std::string>& events_by_rank) {
  std::string all = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n";
  for (std::size_t rank = 0; rank < events_by_rank.size(); ++rank) {
    all += (rank ? ",\n" : "") + events_by_rank[rank];
  }
  return all + "\n]}\n";
}

void write_chrome_trace(const std::string& path, const Context& context, const Recording& recording,
                        double origin) {
  const auto events = context.gather(trace_events(recording, context.rank(), origin));
  context.together([&] {
    if (context.first()) write_file(path, chrome_trace(events));
  });
}

}  // namespace lockstep
