// SPDX-License-Identifier: Apache-2.0
// Errors, planted in small algorithms: the verifier finds each, and says what it is.
#include "collectives/verify.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

std::string error_of(Collective what, Run* run, int ranks, std::size_t count,
                     Sharing sharing = Sharing::none, Buffers buffers = Buffers::in_place) {
  const Algorithm planted{what, "planted", run, nullptr};
  return verify(record(
      planted,
      {.what = what, .blocks = Blocks(count, ranks), .buffers = buffers, .sharing = sharing}));
}

// The all-gather lap of a ring whose blocks are `behind` the right ones.
void ring_lap(Transport& net, const Call& call, int steps, int behind) {
  const int p = net.size(), me = net.rank();
  for (int s = 0; s < steps; ++s) {
    net.exchange(call.block(call.out, me - s), (me + 1) % p,
                 call.block(call.out, me - s - 1 - behind), (me + p - 1) % p);
  }
}

}  // namespace

TEST_CASE("the verifier finds a block that is off by one", "[unit]") {
  const auto run = [](Transport& net, const Call& call) { ring_lap(net, call, net.size() - 1, 1); };
  CHECK(error_of(Collective::all_gather, run, 4, 16) ==
        "rank 0 ends with data[0] of rank 0 holding element 8 in place of 0");
}

TEST_CASE("the verifier finds blocks that differ in size", "[unit]") {
  const auto run = [](Transport& net, const Call& call) { ring_lap(net, call, net.size() - 1, 1); };
  CHECK(error_of(Collective::all_gather, run, 4, 17) ==
        "rank 1, event 0 (receive) 16 bytes of rank 0 meet a receive of 20 by rank 1");
}

TEST_CASE("the verifier finds a lost chunk", "[unit]") {
  const auto run = [](Transport& net, const Call& call) { ring_lap(net, call, net.size() - 2, 0); };
  CHECK(error_of(Collective::all_gather, run, 4, 16) ==
        "rank 0 ends with data[4] of rank 0 holding nothing");
}

TEST_CASE("the verifier finds a lost contribution", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {  // only ranks 0 and 1 add
    const Elements incoming = net.scratch(call.count(), call.dtype);
    if (net.rank() == 2) return;
    net.exchange(call.out, 1 - net.rank(), incoming, 1 - net.rank());
    net.combine(call.out, call.out, incoming, call.op);
  };
  CHECK(error_of(Collective::all_reduce, run, 3, 1) ==
        "rank 0 ends with data[0] of rank 0 holding no contribution of rank 2");
}

TEST_CASE("the verifier finds ranks that wait for each other in a circle", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {  // all send before they receive
    const int p = net.size(), me = net.rank();
    net.send(call.block(call.out, me), (me + 1) % p);
    net.receive(call.block(call.out, me - 1), (me + p - 1) % p);
  };
  CHECK(error_of(Collective::all_gather, run, 3, 3) ==
        "deadlock: rank 0 waits to send to rank 1, rank 1 waits to send to rank 2, rank 2 waits to "
        "send to rank 0");
}

TEST_CASE("the verifier finds a message that nobody receives", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {
    if (net.rank() == 0) net.send(call.out, 1);
  };
  CHECK(error_of(Collective::broadcast, run, 2, 1) ==
        "deadlock: rank 0 waits to send to rank 1, rank 1 has ended");
}

TEST_CASE("the verifier finds a message that is not completed", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {
    if (net.rank() == 0) net.post_send(call.out, 1);
    if (net.rank() == 1) net.receive(call.out, 0);
  };
  CHECK(error_of(Collective::broadcast, run, 2, 1) ==
        "rank 0 ends before its message to rank 1 is complete");
}

TEST_CASE("the verifier finds a contribution that counts twice", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {
    const Elements incoming = net.scratch(call.count(), call.dtype);
    for (int round = 0; round < 2; ++round) {
      net.exchange(call.out, 1 - net.rank(), incoming, 1 - net.rank());
      net.combine(call.out, call.out, incoming, call.op);
    }
  };
  CHECK(error_of(Collective::all_reduce, run, 2, 3) ==
        "rank 0, event 7 (combine) counts rank 0 twice in element 0 at scratch[0] of rank 0");
}

TEST_CASE("the verifier finds elements of different places added", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {
    net.combine(call.out.first(1), call.out.first(1), call.out.subspan(1, 1), call.op);
  };
  CHECK(error_of(Collective::all_reduce, run, 1, 2) ==
        "rank 0, event 0 (combine) adds element 1 at data[1] of rank 0 to element 0");
}

TEST_CASE("the verifier finds memory added that nobody wrote", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {
    net.combine(call.out, call.out, net.scratch(call.count(), call.dtype), call.op);
  };
  CHECK(error_of(Collective::all_reduce, run, 1, 2) ==
        "rank 0, event 0 (combine) adds what nobody has written: scratch[0] of rank 0");
}

TEST_CASE("the verifier finds a sum that depends on the rank", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {  // everyone adds all, itself first
    const int p = net.size(), me = net.rank();
    const Elements others = net.scratch(call.count() * 2, call.dtype);
    for (int s = 1; s < p; ++s) {
      net.exchange(call.in, (me + s) % p, others.subspan(call.count() * (s - 1U), call.count()),
                   (me + p - s) % p);
    }
    net.copy(call.out, call.in);
    for (unsigned s = 0; s < 2; ++s)
      net.combine(call.out, call.out, others.subspan(call.count() * s, call.count()), call.op);
  };
  CHECK(error_of(Collective::all_reduce, run, 3, 1, Sharing::none, Buffers::apart) ==
        "rank 1 ends with out[0] of rank 1 holding a sum in another order than rank 0's");
}

TEST_CASE("the verifier finds a buffer changed while it is sent", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {
    const Elements incoming = net.scratch(call.count(), call.dtype);
    net.receive(incoming.first(0), 0);
    const Ticket arrived = net.post_receive(incoming, 1 - net.rank());
    net.post_send(call.out, 1 - net.rank());
    net.complete(arrived);  // not the send
    net.combine(call.out, call.out, incoming, call.op);
    net.complete();
  };
  CHECK(error_of(Collective::all_reduce, run, 2, 3) ==
        "rank 1, event 3 (combine) changes data[0] of rank 1 while it is sent to rank 0");
}

TEST_CASE("the verifier finds a buffer read while it is received", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {
    if (net.rank() == 0) return net.send(call.out, 1);
    net.post_receive(call.out, 0);
    net.copy(net.scratch(1, call.dtype), call.out.subspan(2, 1));
    net.complete();
  };
  CHECK(error_of(Collective::broadcast, run, 2, 3) ==
        "rank 1, event 1 (copy) reads data[2] of rank 1 while it is received from rank 0");
}

TEST_CASE("the verifier finds an input changed, and a step beyond the end", "[unit]") {
  const auto changes = [](Transport& net, const Call& call) {
    net.copy(call.out, call.in);
    net.copy(call.in.first(1), call.in.subspan(1, 1));
  };
  CHECK(error_of(Collective::all_reduce, changes, 1, 2, Sharing::none, Buffers::apart) ==
        "rank 0 changes its input at in[0] of rank 0");
  const auto beyond = [](Transport& net, const Call& call) {
    net.copy(net.scratch(2, call.dtype), call.out.subspan(1, 2));
  };
  CHECK(error_of(Collective::all_reduce, beyond, 1, 2) ==
        "rank 0, event 0 (copy) goes beyond the end of data[1] of rank 0");
}

TEST_CASE("the verifier finds a barrier that lets a rank go early", "[unit]") {
  const auto run = [](Transport& net, const Call&) {  // one step of a dissemination only
    const Elements signals = net.scratch(2, DType::uint8);
    net.exchange(signals.first(1), (net.rank() + 1) % 3, signals.subspan(1, 1),
                 (net.rank() + 2) % 3);
  };
  CHECK(error_of(Collective::barrier, run, 3, 0) == "rank 0 may leave before rank 1 has come");
}

namespace {

// Everyone adds its slice of what all show, and takes the others' slices from them.
template <bool first_barrier, bool last_barrier>
void shared_slices(Transport& net, const Call& call) {
  SharedMemory& memory = *net.shared();
  const int p = net.size(), me = net.rank();
  memory.show(call.out);
  std::vector<Elements> slices;
  for (int r = 0; r < p; ++r)
    slices.push_back(call.block(memory.shown(r), me));
  net.combine_all({&slices[static_cast<std::size_t>(me)], 1}, slices, call.op);
  if (first_barrier) memory.barrier();
  for (int r = 0; r < p; ++r)
    net.copy(call.block(call.out, r), call.block(memory.shown(r), r));
  if (last_barrier) memory.barrier();
}

}  // namespace

TEST_CASE("the verifier finds a missing barrier of shared memory", "[unit]") {
  // Rank r's slice s is read by rank s to add it, and written by rank r from rank s.
  CHECK(error_of(Collective::all_reduce, shared_slices<true, true>, 2, 4, Sharing::addressable) ==
        "");
  CHECK(error_of(Collective::all_reduce, shared_slices<true, false>, 2, 4,
                 Sharing::addressable) == "");  // nobody writes behind it here
  CHECK(error_of(Collective::all_reduce, shared_slices<false, true>, 2, 4, Sharing::addressable) ==
        "rank 0, event 1 (combine_all) reads data[0] of rank 1 with no barrier behind rank 1, "
        "which changes it");
}

TEST_CASE("the verifier knows the two areas of stages, used in turn", "[unit]") {
  const auto good = [](Transport& net, const Call& call) {  // all-reduce by staging all
    SharedMemory& memory = *net.shared();
    memory.stage(call.in);
    std::vector<Elements> staged;
    for (int r = 0; r < net.size(); ++r)
      staged.push_back(memory.staged(r));
    net.combine_all({&call.out, 1}, staged, call.op);
    for (int more = 0; more < 3; ++more) {
      memory.stage(call.in);
      net.copy(net.scratch(call.count(), call.dtype), memory.staged(0));
    }
  };
  CHECK(error_of(Collective::all_reduce, good, 3, 5, Sharing::fetched, Buffers::apart) == "");
  const auto early = [](Transport& net, const Call& call) {  // reads what was staged before last
    SharedMemory& memory = *net.shared();
    memory.stage(call.in);
    const Elements old = memory.staged(0);
    memory.stage(call.in);
    net.copy(call.out, old);
    memory.stage(call.in);
  };
  CHECK(error_of(Collective::all_reduce, early, 2, 1, Sharing::fetched, Buffers::apart)
            .find("with no barrier behind rank") != std::string::npos);
}

TEST_CASE("the verifier finds ranks in barriers of different kinds", "[unit]") {
  const auto run = [](Transport& net, const Call& call) {
    if (net.rank() == 0) return net.shared()->barrier();
    net.shared()->show(call.out);
  };
  CHECK(error_of(Collective::all_reduce, run, 2, 1, Sharing::addressable) ==
        "rank 1, event 0 (show) is where rank 0 has a barrier");
  const auto alone = [](Transport& net, const Call&) {
    if (net.rank() == 0) net.shared()->barrier();
  };
  CHECK(error_of(Collective::all_reduce, alone, 2, 1, Sharing::addressable) ==
        "deadlock: rank 0 waits in a barrier for rank 1, rank 1 has ended");
}
