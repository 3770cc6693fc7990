// SPDX-License-Identifier: Apache-2.0
// One trace file from all ranks.
#include <set>

#include <nlohmann/json.hpp>

#include "runtime/base/clock.hpp"
#include "runtime/trace/trace.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;

TEST_CASE("rank 0 writes the records of all ranks", "[mpi]") {
  const Context& context = test::context();
  const test::ScratchFolder folder;  // one per rank: only that of rank 0 is written to
  const double origin = trace_origin(context);
  Recording recording;
  for (int i = 0; i <= context.rank(); ++i) {
    recording.add({.name = "work"}, StreamKind::compute, now(), now());
  }
  write_chrome_trace(folder / "trace.json", context, recording, origin);

  CHECK(folder.num_files() == (context.first() ? 1 : 0));
  if (!context.first()) return;
  std::multiset<int> ranks, expected;
  const auto trace = nlohmann::json::parse(test::read_text(folder / "trace.json"));
  for (const auto& e : trace["traceEvents"]) {
    if (e["ph"] == "X") ranks.insert(e["pid"].get<int>());
  }
  for (int rank = 0; rank < context.size(); ++rank) {
    for (int i = 0; i <= rank; ++i)
      expected.insert(rank);
  }
  CHECK(ranks == expected);
}

TEST_CASE("a trace that cannot be written is an error on every rank", "[mpi]") {
  const Context& context = test::context();
  const test::ScratchFolder folder;
  const auto write = [&] {
    write_chrome_trace(folder / "missing/trace.json", context, Recording(), 0);
  };
  if (context.first()) {
    CHECK_THROWS_AS(write(), SystemError);
  } else {
    CHECK_THROWS_AS(write(), ReportedError);
  }
}
