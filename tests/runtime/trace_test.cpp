// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/trace.hpp"

#include <map>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/catch.hpp"

using namespace lockstep;
using Json = nlohmann::json;

namespace {

constexpr double kOrigin = 1000;

// Two kernels inside a phase, which is recorded last, and a collective beside them.
void fill(Recording& recording) {
  recording.add({.name = "matmul",
                 .kind = OperationKind::gemm,
                 .shape = {2, 3, 4},
                 .flops = 48e6,
                 .bytes_read = 1e6,
                 .bytes_written = 1e6},
                StreamKind::compute, kOrigin + 0.001, kOrigin + 0.002);
  recording.add({.name = "gelu", .shape = {6}}, StreamKind::compute, kOrigin + 0.0025,
                kOrigin + 0.0030000004);
  recording.add({.name = "all_reduce",
                 .kind = OperationKind::collective,
                 .shape = {100},
                 .ranks = 4,
                 .detail = "native ring"},
                StreamKind::communication, kOrigin + 0.0015, kOrigin + 0.0035);
  recording.add({.name = "forward", .kind = OperationKind::phase}, StreamKind::compute,
                kOrigin + 0.001, kOrigin + 0.0030000004);
}

Json parsed_trace(int ranks) {
  std::vector<std::string> parts;
  Recording recording;
  fill(recording);
  for (int rank = 0; rank < ranks; ++rank)
    parts.push_back(trace_events(recording, rank, kOrigin));
  return Json::parse(chrome_trace(parts))["traceEvents"];
}

std::map<std::string, Json> by_name(const Json& events, int rank) {
  std::map<std::string, Json> found;
  for (const Json& e : events) {
    if (e["pid"] == rank && e["ph"] == "X") found[e["name"]] = e;
  }
  return found;
}

double end_of(const Json& event) {
  return event["ts"].get<double>() + event["dur"].get<double>();
}

}  // namespace

TEST_CASE("the trace holds every record of every rank, named by rank and stream", "[unit]") {
  const Json events = parsed_trace(3);
  for (int rank = 0; rank < 3; ++rank) {
    CHECK(by_name(events, rank).size() == 4);
    std::vector<std::string> names;
    for (const Json& e : events) {
      if (e["pid"] == rank && e["ph"] == "M") names.push_back(e["args"]["name"]);
    }
    CHECK(names ==
          std::vector<std::string>{"rank " + std::to_string(rank), "compute", "communication"});
  }
}

TEST_CASE("times are microseconds since the origin", "[unit]") {
  const auto events = by_name(parsed_trace(1), 0);
  CHECK(events.at("matmul")["ts"].get<double>() == Approx(1000));
  CHECK(events.at("matmul")["dur"].get<double>() == Approx(1000));
  CHECK(events.at("all_reduce")["ts"].get<double>() == Approx(1500));
}

TEST_CASE("a phase comes before its kernels, on their track, and encloses them", "[unit]") {
  const Json all = parsed_trace(1);
  const auto events = by_name(all, 0);
  const Json& phase = events.at("forward");
  for (const char* name : {"matmul", "gelu"}) {
    const Json& kernel = events.at(name);
    CHECK(phase["tid"] == kernel["tid"]);
    CHECK(phase["ts"].get<double>() <= kernel["ts"].get<double>());
    CHECK(end_of(kernel) <= end_of(phase) + 1e-9);
  }
  CHECK(events.at("all_reduce")["tid"] != phase["tid"]);

  std::vector<std::string> order;
  for (const Json& e : all) {
    if (e["ph"] == "X") order.push_back(e["name"]);
  }
  CHECK(order == std::vector<std::string>{"forward", "matmul", "all_reduce", "gelu"});
}

TEST_CASE("kernels carry shape, cost and rate; collectives their group", "[unit]") {
  const auto events = by_name(parsed_trace(1), 0);
  const Json& gemm = events.at("matmul")["args"];
  CHECK(gemm["shape"] == Json{{"m", 2}, {"n", 3}, {"k", 4}});
  CHECK(gemm["flops"] == 48e6);
  CHECK(gemm["bytes"] == 2e6);
  CHECK(gemm["GFLOP/s"].get<double>() == Approx(48));
  CHECK(gemm["GB/s"].get<double>() == Approx(2));

  const Json& reduce = events.at("all_reduce")["args"];
  CHECK(reduce["ranks"] == 4);
  CHECK(reduce["by"] == "native ring");
  CHECK(events.at("forward")["args"].empty());
}

TEST_CASE("what never ran has no place in time", "[unit]") {
  Recording dry;
  dry.add({.name = "matmul", .kind = OperationKind::gemm}, StreamKind::compute);
  const Json events = Json::parse(chrome_trace({trace_events(dry, 0, kOrigin)}))["traceEvents"];
  CHECK(by_name(events, 0).empty());
}
