// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/chakra/execution_trace.hpp"
#include "perfmodels/record_step.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/thrown.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

// A kernel, a phase, a collective that waits for the kernel, a kernel that waits for that.
chakra::ExecutionTrace example() {
  Recording recording;
  using enum StreamKind;
  recording.add({.name = "gemm", .kind = OperationKind::gemm, .flops = 300, .bytes_read = 5},
                compute);
  recording.add({.name = "forward", .kind = OperationKind::phase}, compute);
  recording.wait(communication, 0);
  recording.add({.name = "reduce_scatter",
                 .kind = OperationKind::collective,
                 .bytes_read = 64,
                 .bytes_written = 16,
                 .ranks = 4},
                communication);
  recording.wait(compute, 2);
  recording.add({.name = "update", .flops = 1}, compute);
  return chakra::trace_of(recording, 3);
}

}  // namespace

TEST_CASE("nodes keep what they wait for") {
  const auto trace = example();
  REQUIRE(trace.nodes.size() == 3);
  CHECK(trace.nodes[0].data_deps.empty());
  CHECK(trace.nodes[1].data_deps == std::vector<std::uint64_t>{0});
  CHECK(trace.nodes[2].data_deps == std::vector<std::uint64_t>{0, 2});
  CHECK(trace.nodes[1].type == chakra::NodeType::comm_collective);
}

TEST_CASE("protobuf's bytes, by hand") {
  chakra::ExecutionTrace trace{.version = "v"};
  trace.nodes.push_back({.id = 300,
                         .name = "k",
                         .data_deps = {1, 300},
                         .attributes = {{"n", std::int64_t{5}}, {"b", true}}});
  const std::string metadata("\x03\x0a\x01v");  // of 3 bytes: version, a text of 1
  const std::string node(
      "\x1c"                               // of 28 bytes
      "\x08\xac\x02"                       // id 300
      "\x12\x01k"                          // name
      "\x18\x04"                           // type 4
      "\x2a\x03\x01\xac\x02"               // data_deps, packed
      "\x52\x05\x0a\x01n\x48\x05"          // attribute: name, int64 (field 9) 5
      "\x52\x06\x0a\x01\x62\xd8\x01\x01",  // attribute: name, bool (field 27) true
      29);
  CHECK(chakra::to_protobuf(trace) == metadata + node);
}

TEST_CASE("the JSON form is that of protobuf") {
  const std::string json = chakra::to_json(example());
  for (const char* part : {"\"type\": \"COMM_COLL_NODE\"", "\"int64Val\": \"7\"", "\"dataDeps\"",
                           "\"boolVal\": false", "\"stringVal\": \"world\""})
    CHECK(test::contains(json, part));
}

TEST_CASE("every kernel and collective of a step is a node, none waits for a later one") {
  const auto step = record_step(test::small_job(), 4);
  const auto trace = chakra::trace_of(step->recording, 0);
  std::size_t phases = 0;
  for (const Record& r : step->recording.records())
    phases += r.operation.kind == OperationKind::phase;
  CHECK(trace.nodes.size() + phases == step->recording.records().size());
  std::vector<bool> seen(step->recording.records().size());
  std::size_t collectives = 0;
  for (const chakra::Node& node : trace.nodes) {
    for (const std::uint64_t dep : node.data_deps)
      CHECK(seen[dep]);
    seen[node.id] = true;
    collectives += node.type == chakra::NodeType::comm_collective;
  }
  CHECK(collectives > 1);
}
