// SPDX-License-Identifier: Apache-2.0
// The automatic backend between processes: right results from whoever serves, and the same one on
// every rank.
#include <cmath>
#include <cstring>

#include "collectives/backends/table.hpp"
#include "collectives/sample_call.hpp"
#include "runtime/base/clock.hpp"
#include "tests/collectives/problem.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

std::unique_ptr<Backend> automatic(const CommunicatorOptions& options) {
  return find_backend("auto").make(context().world(), options);
}

bool same_everywhere(const std::string& text) {
  return context().broadcast(text) == text;
}

// Every candidate for a problem that this group can be given, by the oracle of all collectives.
void check_candidates(Backend& backend, Collective what, std::size_t count) {
  const Sample sample{.what = what, .count = count, .ranks = backend.size()};
  const Problem problem{
      .what = what, .ranks = backend.size(), .blocks = sample.blocks(), .place = Place::in_place};
  Side priced(problem, backend.rank());
  for (const Choice& choice : backend.candidates(priced.call())) {
    Side side(problem, backend.rank());
    const Call call = side.call();
    backend.run(call, choice, {now() + 30});
    INFO(problem.text() << " by " << choice.label);
    CHECK(side.mistake() == "");
  }
}

}  // namespace

TEST_CASE("with built-in constants auto is ours, and the library serves by a rule", "[mpi]") {
  const auto backend = automatic({.rules = {"broadcast 1K: mpi"}});
  for (Collective what : kCollectives) {
    const Call small = Sample{.what = what, .count = 8, .ranks = backend->size()}.in_place(nullptr);
    for (const Choice& choice : backend->candidates(small))
      CHECK(choice.label != std::string("mpi"));
  }
  const auto broadcast = [&](std::size_t count) {
    return std::string(
        backend
            ->choose(Sample{.what = Collective::broadcast, .count = count, .ranks = backend->size()}
                         .in_place(nullptr))
            .label);
  };
  CHECK(broadcast(255) != "mpi");
  CHECK(broadcast(256) == "mpi");
  std::vector<float> values(1000, static_cast<float>(backend->rank() + 1));
  const Elements data{reinterpret_cast<std::byte*>(values.data()), values.size(), DType::float32};
  const Call call = broadcast_call(data, 0, backend->size());
  backend->run(call, backend->choose(call), {now() + 30});
  CHECK(values == std::vector<float>(1000, 1.0f));
}

TEST_CASE("measured: every candidate is right, and all ranks choose alike", "[mpi]") {
  const auto world = automatic({.constants = Constants::measured});
  std::vector<int> halves;
  for (int r = 0; r < world->size(); ++r)
    halves.push_back(r % 2);
  const auto half = world->split(halves);
  for (Backend* backend : {world.get(), half.get()}) {
    for (Collective what : kCollectives) {
      for (std::size_t count : {std::size_t{0}, std::size_t{5}, std::size_t{3000}})
        check_candidates(*backend, what, count);
    }
  }
  bool library_is_priced = false;
  for (Collective what : kCollectives) {
    for (std::size_t count = 1; count <= 1 << 24; count *= 2) {
      const Call call =
          Sample{.what = what, .count = count, .ranks = world->size()}.in_place(nullptr);
      const Choice choice = world->choose(call);
      CHECK(same_everywhere(choice.label));
      CHECK(std::isfinite(choice.seconds));
      for (const Choice& candidate : world->candidates(call)) {
        CHECK(candidate.seconds >= choice.seconds);
        library_is_priced = library_is_priced || candidate.label == std::string("mpi");
      }
    }
  }
  CHECK(library_is_priced == (world->size() > 1));
}

TEST_CASE("messages of the automatic backend arrive", "[mpi]") {
  const auto world = automatic({});
  const int p = world->size(), me = world->rank();
  if (p == 1) return;
  std::int32_t sent = me, received = -1;
  const Elements out{reinterpret_cast<std::byte*>(&sent), 1, DType::int32};
  const Elements in{reinterpret_cast<std::byte*>(&received), 1, DType::int32};
  const Call messages[] = {send_call(out, (me + 1) % p), receive_call(in, (me + p - 1) % p)};
  world->transfer(messages, {now() + 30});
  CHECK(received == (me + p - 1) % p);
}

TEST_CASE("bad rules are errors of the configuration on every rank", "[mpi]") {
  const std::string message =
      thrown<ConfigError>([] { automatic({.rules = {"all_reduce : smoke"}}); });
  CHECK(contains(message, "\"smoke\" is no algorithm of all_reduce"));
  CHECK(contains(message, "mpi"));
}
