// SPDX-License-Identifier: Apache-2.0
// A recording as an MLCommons Chakra execution trace (arXiv 2305.14516; schema et_def.proto of
// github.com/mlcommons/chakra), which other simulators read (ASTRA-sim, for one): one node per
// kernel, collective and message of one rank, with its dependencies.
//
//   COMP_NODE        num_ops: FLOPs; tensor_size: bytes that cross memory
//   COMM_COLL_NODE   comm_type; comm_size: bytes that each rank brings; pg_name: the group
//   COMM_SEND_NODE, COMM_RECV_NODE   comm_size, comm_src, comm_dst
//
// A node's data_deps are the node before it in its stream and the one of the other stream that it
// waits for. Phases are left out. duration_micros is there where the recording has times.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "runtime/device/recording.hpp"

namespace lockstep::chakra {

// The numbers are those of the schema.
enum class NodeType : std::uint8_t {
  comp = 4,
  comm_send = 5,
  comm_receive = 6,
  comm_collective = 7
};
const char* name_of(NodeType type);  // "COMP_NODE"

struct Attribute {
  std::string name;
  std::variant<std::int32_t, std::int64_t, std::uint64_t, bool, std::string> value;
};

struct Node {
  std::uint64_t id = 0;
  std::string name{};
  NodeType type = NodeType::comp;
  std::vector<std::uint64_t> data_deps{};
  std::uint64_t start_micros = 0, duration_micros = 0;
  std::vector<Attribute> attributes{};
};

struct ExecutionTrace {
  std::string version{};
  std::vector<Attribute> attributes{};  // of the metadata
  std::vector<Node> nodes{};
};

ExecutionTrace trace_of(const Recording& recording, int rank);

// GlobalMetadata and then every Node, each as a varint of its length and its protobuf bytes: what
// the readers of Chakra take.
std::string to_protobuf(const ExecutionTrace& trace);
// The same messages as protobuf's JSON, one after another, as Chakra's own converter writes them.
std::string to_json(const ExecutionTrace& trace);

}  // namespace lockstep::chakra
