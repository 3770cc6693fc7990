// SPDX-License-Identifier: Apache-2.0
// Context under 1, 2, 3 and 4 ranks.
#include "runtime/context/context.hpp"

#include <string>
#include <vector>

#include "runtime/context/reported_failure.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;

namespace {

// Unequal lengths, and none for rank 1.
std::string words_of(int rank) {
  return std::string(rank == 1 ? 0 : 1000 * rank + 3, 'a' + rank);
}

// What a rank makes of `together`: "" for success, or the type and text of what was thrown.
std::string outcome(const Context& context, const std::function<void()>& step) {
  try {
    context.together(step);
    return "";
  } catch (const ReportedFailure&) {
    return "reported failure";
  } catch (const ReportedError&) {
    return "reported";
  } catch (const ConfigError& e) {
    return std::string("config: ") + e.what();
  } catch (const SystemError& e) {
    return std::string("system: ") + e.what();
  }
}

}  // namespace

TEST_CASE("every rank knows its place", "[mpi]") {
  const Context& context = test::context();
  CHECK(context.rank() >= 0);
  CHECK(context.rank() < context.size());
  CHECK(context.first() == (context.rank() == 0));

  // The tests run on one machine: the node is the job.
  CHECK(context.nodes() == 1);
  CHECK(context.node() == 0);
  CHECK(context.local_size() == context.size());
  CHECK(context.local_rank() == context.rank());
}

TEST_CASE("broadcast carries bytes of any length from any root", "[mpi]") {
  const Context& context = test::context();
  for (int root = 0; root < context.size(); ++root) {
    for (const std::string& text :
         {std::string(), std::string("a\0b", 3), std::string(100000, 'x')}) {
      const std::string mine = context.rank() == root ? text : "something else";
      CHECK(context.broadcast(mine, root) == text);
    }
  }
}

TEST_CASE("gather brings unequal and empty strings in rank order", "[mpi]") {
  const Context& context = test::context();
  const std::vector<std::string> all = context.gather(words_of(context.rank()));
  if (!context.first()) {
    CHECK(all.empty());
    return;
  }
  REQUIRE(static_cast<int>(all.size()) == context.size());
  for (int rank = 0; rank < context.size(); ++rank)
    CHECK(all[rank] == words_of(rank));
}

TEST_CASE("together: one failing rank ends the step everywhere", "[mpi]") {
  const Context& context = test::context();
  for (int failing = 0; failing < context.size(); ++failing) {
    const std::string result = outcome(context, [&] {
      if (context.rank() == failing) throw SystemError("disk");
    });
    CHECK(result == (context.rank() == failing ? "system: disk" : "reported failure"));
  }
}

TEST_CASE("together: of many failing ranks the lowest speaks, with its own type", "[mpi]") {
  const Context& context = test::context();
  const std::string all = outcome(context, [] { throw ConfigError("key"); });
  CHECK(all == (context.first() ? "config: key" : "reported"));

  const std::string but_first = outcome(context, [&] {
    if (!context.first()) throw SystemError("rank " + std::to_string(context.rank()));
  });
  const std::string expected = context.size() == 1   ? ""
                               : context.rank() == 1 ? "system: rank 1"
                                                     : "reported failure";
  CHECK(but_first == expected);
}

TEST_CASE("together: a step that nobody fails runs once everywhere", "[mpi]") {
  int runs = 0;
  test::context().together([&] { ++runs; });
  CHECK(runs == 1);
}

TEST_CASE("ranks agree to end, and on who speaks", "[mpi]") {
  const Context& context = test::context();
  const int last = context.size() - 1;
  CHECK(context.agree_to_end(context.rank() == last, 30) == last);
  CHECK(context.agree_to_end(false, 30) == context.size());
}
