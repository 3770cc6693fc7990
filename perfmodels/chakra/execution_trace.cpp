// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/chakra/execution_trace.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace lockstep::chakra {

namespace {

// CollectiveCommType of the schema; -1: none.
std::int64_t collective_type(std::string_view name) {
  constexpr std::array<std::string_view, 10> kNames = {
      "all_reduce", "reduce",     "all_gather",     "gather", "scatter",
      "broadcast",  "all_to_all", "reduce_scatter", "",       "barrier"};
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  return found == kNames.end() ? -1 : found - kNames.begin();
}

NodeType type_of(const Operation& op) {
  if (op.kind != OperationKind::collective) return NodeType::comp;
  const std::string_view name = op.name;
  if (name == "send") return NodeType::comm_send;
  if (name == "receive") return NodeType::comm_receive;
  return NodeType::comm_collective;
}

std::int64_t whole(double value) {
  return static_cast<std::int64_t>(std::llround(value));
}

std::string group_of(const Operation& op) {
  return op.group && !op.group->name.empty() ? op.group->name : "world";
}

std::vector<Attribute> attributes_of(const Operation& op, int rank) {
  std::vector<Attribute> all = {{"is_cpu_op", false}};
  const std::int64_t brought = whole(std::max(op.bytes_read, 0.0));
  switch (type_of(op)) {
    case NodeType::comp:
      all.push_back({"num_ops", whole(op.flops)});
      all.push_back(
          {"tensor_size", static_cast<std::uint64_t>(whole(op.bytes_read + op.bytes_written))});
      return all;
    case NodeType::comm_collective:
      all.push_back({"comm_type", collective_type(op.name)});
      all.push_back({"comm_size", brought});
      all.push_back({"pg_name", group_of(op)});
      return all;
    case NodeType::comm_send:
    case NodeType::comm_receive:
      break;
  }
  const bool sends = type_of(op) == NodeType::comm_send;
  all.push_back({"comm_size", whole(std::max(op.bytes_read, op.bytes_written))});
  all.push_back({"comm_src", std::int32_t{sends ? rank : op.peer}});
  all.push_back({"comm_dst", std::int32_t{sends ? op.peer : rank}});
  all.push_back({"pg_name", group_of(op)});
  return all;
}

std::uint64_t microseconds(double seconds) {
  return static_cast<std::uint64_t>(std::llround(std::max(seconds, 0.0) * 1e6));
}

}  // namespace

const char* name_of(NodeType type) {
  constexpr const char* kNames[] = {"COMP_NODE", "COMM_SEND_NODE", "COMM_RECV_NODE",
                                    "COMM_COLL_NODE"};
  return kNames[static_cast<int>(type) - 4];
}

ExecutionTrace trace_of(const Recording& recording, int rank) {
  ExecutionTrace trace{.version = "0.0.4"};
  trace.attributes = {{"schema", std::string("1.1.0-chakra.0.0.4")},
                      {"producer", std::string("lockstep")},
                      {"rank", std::int64_t{rank}}};
  const auto& records = recording.records();
  std::array<std::int64_t, 2> before = {-1, -1};
  double origin = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& r = records[i];
    if (r.operation.kind == OperationKind::phase) continue;
    Node node{.id = i, .name = r.operation.name, .type = type_of(r.operation)};
    std::int64_t& last = before[static_cast<std::size_t>(r.stream)];
    if (last >= 0) node.data_deps.push_back(static_cast<std::uint64_t>(last));
    if (r.after >= 0) node.data_deps.push_back(static_cast<std::uint64_t>(r.after));
    last = static_cast<std::int64_t>(i);
    if (r.end > r.begin) {
      if (origin == 0) origin = r.begin;
      node.start_micros = microseconds(r.begin - origin);
      node.duration_micros = std::max<std::uint64_t>(microseconds(r.end - r.begin), 1);
    }
    node.attributes = attributes_of(r.operation, rank);
    trace.nodes.push_back(std::move(node));
  }
  return trace;
}

}  // namespace lockstep::chakra
