// SPDX-License-Identifier: Apache-2.0
// The threads transport and the small parts below the algorithms: blocks, selection, errors.
#include "collectives/transport.hpp"

#include <string>

#include "collectives/backends/table.hpp"
#include "collectives/select.hpp"
#include "tests/collectives/ranks.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

// The message of the E that `call` throws.
template <class E, class F>
std::string message_of(F call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

void ring_sum(Transport& net, std::vector<std::int32_t>& data) {
  const Call call = all_reduce_call(elements(data), elements(data), ReduceOp::sum, net.size());
  find_algorithm(Collective::all_reduce, "ring")->run(net, call);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("blocks cover all elements once and differ by one at most", "[unit]") {
  for (int p : {1, 2, 3, 5, 8, 17}) {
    for (std::size_t n : {0, 1, 4, 5, 17, 1000}) {
      std::size_t end = 0;
      for (int i = 0; i < p; ++i) {
        const Block b = block_bounds(n, p, i);
        CHECK(b.begin == end);
        CHECK(b.count <= Blocks(n, p).largest());
        CHECK(b.count + 1 >= Blocks(n, p).largest());
        end = b.begin + b.count;
      }
      CHECK(end == n);
    }
  }
}

TEST_CASE("messages arrive in order, and both ways at once", "[unit]") {
  std::vector<std::int32_t> got;
  on_ranks(2, [&](Transport& net) {
    for (std::int32_t i = 0; i < 100; ++i) {
      std::vector<std::int32_t> out{i * (net.rank() + 1)}, in{-1};
      net.exchange(elements(out), 1 - net.rank(), elements(in), 1 - net.rank());
      if (net.rank() == 0) got.push_back(in[0]);
    }
  });
  for (std::int32_t i = 0; i < 100; ++i)
    CHECK(got[static_cast<std::size_t>(i)] == 2 * i);
}

TEST_CASE("split groups ranks by colour, orders them by key, and keeps messages apart", "[unit]") {
  std::vector<std::int32_t> sums(7), places(7);
  on_ranks(7, [&](Transport& net) {
    const int me = net.rank();
    auto part = net.split(me % 2, -me);  // odd and even, in reverse
    std::vector<std::int32_t> data{me};
    ring_sum(*part, data);
    auto alone = part->split(me, 0);
    ring_sum(*alone, data);
    sums[static_cast<std::size_t>(me)] = data[0];
    places[static_cast<std::size_t>(me)] = part->rank() * 10 + part->size();
  });
  CHECK(sums == std::vector<std::int32_t>{12, 9, 12, 9, 12, 9, 12});
  CHECK(places == std::vector<std::int32_t>{34, 23, 24, 13, 14, 3, 4});
}

TEST_CASE("a rank that does not answer is named when the deadline passes", "[unit]") {
  const std::string message = message_of<SystemError>([] {
    on_ranks(
        2,
        [](Transport& net) {
          std::vector<float> data(3);
          if (net.rank() == 0) net.receive(elements(data), 1);
        },
        0.05);
  });
  INFO(message);
  CHECK(contains(message, "12 bytes from rank 1"));
  CHECK(contains(message, "collectives.timeout_seconds"));
}

TEST_CASE("a message of another size is an error, not a memory fault", "[unit]") {
  const std::string message = message_of<SystemError>([] {
    on_ranks(2, [](Transport& net) {
      std::vector<float> data(net.rank() == 0 ? 3 : 4);
      if (net.rank() == 0) net.receive(elements(data), 1);
      if (net.rank() == 1) net.send(elements(data), 0);
    });
  });
  CHECK(contains(message, "rank 1 sent 16 bytes where 12 were expected"));
}

TEST_CASE("auto takes the cheapest algorithm, a name the named one", "[unit]") {
  const auto all_reduce = [](std::size_t bytes) {
    return all_reduce_call({nullptr, bytes / 4}, {nullptr, bytes / 4}, ReduceOp::sum, 4);
  };
  const Selector cheapest({}, {.ranks = 4});
  CHECK(cheapest.choose(all_reduce(64)).algorithm->name() == "recursive_doubling");
  CHECK(cheapest.choose(all_reduce(64 << 20)).algorithm->name() == "segmented_ring");

  const Selector ring({.algorithm = "ring"}, {.ranks = 4});
  CHECK(ring.choose(all_reduce(64)).algorithm->name() == "ring");
  const Call broadcast = broadcast_call({nullptr, 16}, 0, 4);
  CHECK(ring.choose(broadcast).algorithm->name() == "binomial");  // there is no ring
}

TEST_CASE("unknown names are errors that list the known ones", "[unit]") {
  const std::string algorithm =
      message_of<ConfigError>([] { Selector({.algorithm = "rign"}, {.ranks = 4}); });
  CHECK(contains(algorithm, "collectives.algorithm = \"rign\""));
  CHECK(contains(algorithm, "auto, binomial, "));
  CHECK(contains(algorithm, "recursive_doubling, "));

  const std::string backend = message_of<ConfigError>([] { find_backend("gloo"); });
  CHECK(contains(backend, "collectives.backend = \"gloo\""));
  CHECK(contains(backend, "auto, native, mpi"));
}
