// SPDX-License-Identifier: Apache-2.0
// A rank that waits in shared memory still moves what it has sent. MPI completes a short send when
// it has a copy; what the network did not take yet leaves only while this rank calls MPI.
#include <cstdlib>
#include <vector>

#include "collectives/transports/mpi.hpp"
#include "runtime/base/clock.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

constexpr double kPatienceSeconds = 20;
const int kRounds = std::getenv("ROUNDS") ? std::atoi(std::getenv("ROUNDS")) : 20;
const std::size_t kBytes[] = {8, 60'000, 100'000, 1'000'003, 6'000'000};

void send_one(Transport& net, int to, std::size_t n) {
  std::vector<std::byte> bytes(n);
  net.send({bytes.data(), bytes.size(), DType::uint8}, to);
}

void receive_one(Transport& net, int from, std::size_t n) {
  std::vector<std::byte> bytes(n);
  net.receive({bytes.data(), bytes.size(), DType::uint8}, from);
}

}  // namespace

// The first of node 0 waits for the second, that for the second of node 1, that in shared memory
// for the first of node 1, and that for what the first of node 0 has sent.
TEST_CASE("what was sent arrives while its sender waits in shared memory", "[mpi]") {
  if (context().nodes() != 2 || context().size() != 4) return;
  const bool first = context().local_rank() == 0;
  const auto across =
      make_transport(split(context().world(), context().local_rank(), context().rank()));
  const auto node = make_transport(split(context().world(), context().node(), context().rank()));
  REQUIRE(node->shared());
  for (Transport* net : {across.get(), node.get()})
    net->begin(barrier_call(), {now() + kPatienceSeconds});

  const auto meet = [&] { node->shared()->barrier(); };
  const bool sends = first == (context().node() == 0);
  const bool talks_first = first || context().node() == 0;
  for (int i = 0; i < kRounds; ++i) {
    for (const std::size_t n : kBytes) {
      const auto talk = [&] {
        sends ? send_one(*across, 1 - across->rank(), n)
              : receive_one(*across, 1 - across->rank(), n);
      };
      for (Transport* net : {across.get(), node.get()})
        net->begin(barrier_call(), {now() + kPatienceSeconds});
      if (talks_first) talk();
      meet();
      if (!talks_first) talk();
    }
  }
}
