// SPDX-License-Identifier: Apache-2.0
// Who serves a call: prices, names and rules. And the constants that a group measures.
#include "collectives/select.hpp"

#include <cmath>

#include "collectives/measure.hpp"
#include "collectives/sample_call.hpp"
#include "collectives/sizes.hpp"
#include "tests/collectives/problem.hpp"
#include "tests/collectives/ranks.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

Call call_of(Collective what, std::size_t bytes, int ranks, MemoryKind memory = MemoryKind::plain) {
  return Sample{.what = what, .count = bytes / 4, .ranks = ranks, .memory = memory}.in_place(
      nullptr);
}

constexpr GroupShape kShapes[] = {
    {.ranks = 1, .shared_memory = true},
    {.ranks = 2, .shared_memory = true},
    {.ranks = 3},
    {.ranks = 8, .nodes = 8},
    {.ranks = 12, .nodes = 4},
    {.ranks = 13, .nodes = 4, .even = false},
};

std::string label_of(const CommunicatorOptions& options, Collective what, std::size_t bytes,
                     const GroupShape& group = {.ranks = 8}) {
  return Selector(options, group).choose(call_of(what, bytes, group.ranks)).label;
}

// An algorithm that refuses `group` in every collective that has one of its name; nullptr if none.
const Algorithm* refusing(const GroupShape& group) {
  for (const Algorithm* algorithm : algorithms()) {
    bool all_refuse = true;
    for (const Algorithm* other : algorithms())
      all_refuse = all_refuse && (other->name() != algorithm->name() || other->refusal(group));
    if (all_refuse) return algorithm;
  }
  return nullptr;
}

bool same_bits(const Links& a, const Links& b) {
  const auto same = [](const Link& x, const Link& y) {
    return x.alpha == y.alpha && x.beta == y.beta && x.gamma == y.gamma && x.source == y.source;
  };
  return same(a.inside, b.inside) && same(a.across, b.across) && a.shared.sync == b.shared.sync &&
         a.shared.copy == b.shared.copy && a.shared.reduce == b.shared.reduce &&
         a.shared.reach == b.shared.reach && a.shared.fetch == b.shared.fetch;
}

}  // namespace

TEST_CASE("sizes are read as they are written", "[unit]") {
  CHECK(bytes_from("0") == 0u);
  CHECK(bytes_from("8") == 8u);
  CHECK(bytes_from("64K") == 65536u);
  CHECK(bytes_from("3M") == 3u << 20);
  CHECK(bytes_from("2G") == std::size_t{2} << 30);
  for (const char* bad :
       {"", "K", "-1", "1.5M", "64k", "64KB", "8 ", "99999999999999999999", "17179869184G"}) {
    INFO(bad);
    CHECK(!bytes_from(bad));
  }
  CHECK(bytes_text(0) == "0");
  CHECK(bytes_text(1000) == "1000");
  CHECK(bytes_text(64 << 10) == "64K");
  CHECK(bytes_text(std::size_t{5} << 30) == "5G");

  CHECK(size_range_from("8:64M")->low == 8);
  CHECK(size_range_from("8:64M")->high == 64u << 20);
  CHECK(size_range_from(":")->high == static_cast<std::size_t>(-1));
  CHECK(size_range_from("4K")->low == size_range_from("4K")->high);
  for (const char* bad : {"", "8:x", "64K:8", "8:16:32"}) {
    INFO(bad);
    CHECK(!size_range_from(bad));
  }
}

TEST_CASE("candidates are priced, in order, and can serve", "[unit]") {
  for (const GroupShape& group : kShapes) {
    for (MemoryKind memory : {MemoryKind::plain, MemoryKind::shared}) {
      const Selector selector({}, group);
      for (Collective what : kCollectives) {
        for (std::size_t bytes : {std::size_t{0}, std::size_t{8}, std::size_t{1} << 26}) {
          const Call call = call_of(what, bytes, group.ranks, memory);
          double least = 0;
          for (const Choice& choice : selector.candidates(call)) {
            INFO(name_of(what) << " " << choice.label);
            CHECK(choice.algorithm->what == what);
            CHECK(!choice.algorithm->refusal(group));
            CHECK(call.bytes() <= choice.algorithm->largest);
            CHECK(choice.seconds >= least);
            least = choice.seconds;
          }
        }
      }
    }
  }
}

TEST_CASE("the choice is the cheapest candidate, asked once or often", "[unit]") {
  for (const GroupShape& group : kShapes) {
    const Selector selector({}, group);
    for (int round = 0; round < 2; ++round) {
      for (std::size_t bytes = 4; bytes <= 1 << 26; bytes *= 2) {  // more kinds than slots
        for (Collective what : {Collective::all_reduce, Collective::broadcast}) {
          for (MemoryKind memory : {MemoryKind::plain, MemoryKind::shared}) {
            const Call call = call_of(what, bytes, group.ranks, memory);
            const Choice first = selector.candidates(call).front(), chosen = selector.choose(call);
            CHECK(chosen.algorithm == first.algorithm);
            CHECK(chosen.seconds == first.seconds);
          }
        }
      }
    }
  }
}

TEST_CASE("prices follow the constants", "[unit]") {
  Links slow;
  slow.inside.alpha = 1;  // only the number of messages counts: fewer rounds win at any size
  const GroupShape group{.ranks = 8};
  const Choice chosen =
      Selector({}, group, slow).choose(call_of(Collective::all_reduce, 1 << 20, 8));
  CHECK(chosen.label != std::string("native/ring"));
  CHECK(label_of({}, Collective::all_reduce, 1 << 26) != chosen.label);
}

TEST_CASE("a name serves where it can, and leaves the others free", "[unit]") {
  CHECK(label_of({.algorithm = "ring"}, Collective::all_reduce, 8) == "native/ring");
  CHECK(label_of({.algorithm = "recursive_doubling"}, Collective::all_reduce, 1 << 26) ==
        "native/recursive_doubling");
  CHECK(label_of({.algorithm = "recursive_doubling"}, Collective::barrier, 0) ==
        "native/dissemination");
}

TEST_CASE("a name that cannot serve the whole job is an error, and not for a part of it",
          "[unit]") {
  for (const GroupShape& group : kShapes) {
    const Algorithm* algorithm = refusing(group);
    if (!algorithm) continue;
    const std::string name(algorithm->name());
    const Selector selector({.algorithm = name}, group);
    const std::string message = config_error([&] { selector.expect_named_serves(); });
    INFO(message);
    CHECK(contains(message, "collectives.algorithm = \"" + name + "\" cannot serve group world"));
    CHECK(contains(message, algorithm->refusal(group)));
    const Call call = call_of(algorithm->what, 1024, group.ranks);
    const Choice first = selector.candidates(call).front();
    CHECK(selector.choose(call).algorithm == first.algorithm);
  }
  CHECK_NOTHROW(Selector({.algorithm = "ring"}, kShapes[0]).expect_named_serves());
  CHECK_NOTHROW(Selector({}, kShapes[0]).expect_named_serves());
}

TEST_CASE("rules hold in their range of sizes, the first of them first", "[unit]") {
  const CommunicatorOptions options{.algorithm = "recursive_doubling",
                                    .rules = {"all_reduce 64:1K ring", "all_reduce 0:1M mpi",
                                              "all_reduce 0: ring", "broadcast : mpi"}};
  CHECK(label_of(options, Collective::all_reduce, 60) == "mpi");
  CHECK(label_of(options, Collective::all_reduce, 64) == "native/ring");
  CHECK(label_of(options, Collective::all_reduce, 1020) == "native/ring");
  CHECK(label_of(options, Collective::all_reduce, 1024) == "mpi");
  CHECK(label_of(options, Collective::all_reduce, 1 << 20) == "native/ring");
  CHECK(label_of(options, Collective::broadcast, 12345) == "mpi");
  CHECK(label_of({.algorithm = "ring", .rules = {"all_reduce :8 recursive_doubling"}},
                 Collective::all_reduce, 8) == "native/ring");
}

TEST_CASE("a rule that cannot hold in a group leaves it to the next", "[unit]") {
  for (const GroupShape& group : kShapes) {
    const Algorithm* algorithm = refusing(group);
    if (!algorithm) continue;
    const std::string rule =
        std::string(name_of(algorithm->what)) + " : " + std::string(algorithm->name());
    const Selector selector({.rules = {rule}}, group);
    const Call call = call_of(algorithm->what, 1024, group.ranks);
    CHECK(selector.choose(call).algorithm == selector.candidates(call).front().algorithm);
    CHECK_NOTHROW(selector.expect_named_serves());
  }
}

TEST_CASE("a rule that says nothing sensible is refused in one line", "[unit]") {
  struct Case {
    const char *rule, *why;
  };
  const Case cases[] = {
      {"", "a rule is"},
      {"all_reduce ring", "a rule is"},
      {"all_reduce 0:64K ring please", "a rule is"},
      {"all_reduce 64K ring", "is no range of sizes"},
      {"all_reduce 64K:8 ring", "is no range of sizes"},
      {"all_reduce 8:8 ring", "is no range of sizes"},
      {"all_reduce 0:64X ring", "is no range of sizes"},
      {"all_produce : ring", "there are: all_reduce"},
      {"send : ring", "messages have no algorithms"},
      {"all_reduce : signals", "\"signals\" is no algorithm of all_reduce; allowed: "},
      {"broadcast : ring", "is no algorithm of broadcast"},
  };
  for (const auto& [rule, why] : cases) {
    const std::string message = config_error([&] { Selector({.rules = {rule}}, {.ranks = 2}); });
    INFO(message);
    CHECK(message.find("collectives.rules = \"" + std::string(rule) + "\": ") == 0);
    CHECK(contains(message, why));
    CHECK(!contains(message, "\n"));
  }
  const std::string message = config_error(
      [] { Selector({.backend = "native", .rules = {"broadcast : mpi"}}, {.ranks = 2}); });
  CHECK(contains(message, "\"mpi\" needs collectives.backend = \"auto\""));
}

TEST_CASE("a job's section becomes options", "[unit]") {
  const JobConfig job = parse_job(
      "[job]\ndeterminism = \"fast\"\n[collectives]\nbackend = \"native\"\nalgorithm = \"ring\"\n"
      "timeout_seconds = 7\nrules = [\"all_reduce : ring\", \"broadcast 1K: binomial\"]\n",
      "job.toml");
  const CommunicatorOptions options = communicator_options(job);
  CHECK(options.backend == "native");
  CHECK(options.algorithm == "ring");
  CHECK(options.timeout_seconds == 7);
  CHECK(options.rules == std::vector<std::string>{"all_reduce : ring", "broadcast 1K: binomial"});
  CHECK(options.constants == Constants::measured);
  CHECK(communicator_options({}).constants == Constants::built_in);
}

TEST_CASE("sample calls have the sizes of their collective", "[unit]") {
  for (int ranks : {1, 3, 4}) {
    for (int rank = 0; rank < ranks; ++rank) {
      for (Collective what : kCollectives) {
        const Sample sample{.what = what, .count = 10, .ranks = ranks, .rank = rank};
        const Problem problem{.what = what, .ranks = ranks, .blocks = sample.blocks()};
        Side side(problem, rank);
        const Call expected = side.call();
        std::vector<float> memory(20);
        auto* bytes = reinterpret_cast<std::byte*>(memory.data());
        const Call apart = sample.apart(bytes + 40, bytes);
        INFO(problem.text() << " rank " << rank);
        CHECK(apart.in.count == expected.in.count);
        if (what != Collective::barrier) CHECK(apart.out.count == expected.out.count);
        if (!sample.can_be_in_place()) continue;
        const Call in_place = sample.in_place(bytes);
        CHECK(in_place.in.data + in_place.in.bytes() <= bytes + 40);
        CHECK(in_place.out.data + in_place.out.bytes() <= bytes + 40);
      }
    }
  }
}

TEST_CASE("all ranks measure the same constants", "[unit]") {
  for (int ranks : {1, 2, 3, 5}) {
    std::vector<Links> found(static_cast<std::size_t>(ranks));
    on_ranks(ranks, [&](Transport& net) {
      found[static_cast<std::size_t>(net.rank())] = measure_links(net, 0.01);
    });
    for (const Links& links : found) {
      INFO(ranks << " ranks");
      CHECK(same_bits(links, found[0]));
      for (const Link* link : {&links.inside, &links.across}) {
        for (double constant : {link->alpha, link->beta, link->gamma}) {
          CHECK(std::isfinite(constant));
          CHECK(constant > 0);
        }
      }
      for (double constant : {links.shared.sync, links.shared.copy, links.shared.reduce,
                              links.shared.reach, links.shared.fetch}) {
        CHECK(std::isfinite(constant));
        CHECK(constant > 0);
      }
      CHECK(links.inside.source == std::string(ranks > 1 ? "measured" : "default"));
      CHECK(links.across.source == std::string("default"));  // one node
    }
  }
}
