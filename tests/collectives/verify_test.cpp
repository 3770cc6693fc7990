// SPDX-License-Identifier: Apache-2.0
// Every algorithm of the table is proven for many groups and counts, planted errors are found, and
// every formula is what the recorded schedule costs.
#include "collectives/verify.hpp"

#include <numeric>
#include <set>

#include "collectives/algorithms/patterns.hpp"
#include "tests/collectives/replay.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;
using lockstep::test::Replay;

namespace {

bool has_root(Collective what) {
  return what == Collective::broadcast || what == Collective::reduce ||
         what == Collective::gather || what == Collective::scatter;
}

std::string text(const GroupCall& call) {
  std::string nodes;
  for (const int n : call.ranks_per_node)
    nodes += " " + std::to_string(n);
  return std::string(name_of(call.what)) + " of " + std::to_string(call.blocks.total()) + ", " +
         std::to_string(call.ranks()) + " ranks, root " + std::to_string(call.root) +
         (call.buffers == Buffers::in_place ? ", in place" : "") +
         (nodes.empty() ? "" : ", nodes of" + nodes) + ", sharing " +
         std::to_string(static_cast<int>(call.sharing));
}

bool shares_memory(const Schedule& schedule) {
  for (const Track& track : schedule.ranks) {
    for (const Event& event : track.events) {
      if (event.what >= Event::What::barrier) return true;
    }
  }
  return false;
}

// How often it was proven, with every way to share memory that makes a difference to the algorithm.
// Catch2 hears of errors only: it is slower than the verifier.
int check(const Algorithm& algorithm, GroupCall call) {
  int proofs = 0;
  for (Sharing sharing : {Sharing::none, Sharing::fetched, Sharing::addressable}) {
    call.sharing = sharing;
    if (!call.served_by(algorithm)) continue;
    const Schedule schedule = record(algorithm, call);
    if (sharing != Sharing::none && !shares_memory(schedule)) continue;
    const std::string error = verify(schedule);
    ++proofs;
    if (error.empty()) continue;
    INFO(algorithm.label << ": " << text(call));
    CHECK(error == "");
  }
  return proofs;
}

int check_roots(const Algorithm& algorithm, GroupCall call) {
  int proofs = 0;
  const int p = call.ranks();
  const std::set<int> roots = has_root(call.what) ? std::set<int>{0, p / 2, p - 1} : std::set{0};
  for (const int root : roots) {
    call.root = root;
    for (Buffers buffers : {Buffers::apart, Buffers::in_place}) {
      call.buffers = buffers;
      proofs += check(algorithm, call);
    }
  }
  return proofs;
}

std::set<std::size_t> counts_for(Collective what, int ranks) {
  if (what == Collective::barrier) return {0};
  const auto p = static_cast<std::size_t>(ranks);
  std::set<std::size_t> counts;
  for (std::size_t n : {std::size_t{0}, std::size_t{1}, p - 1, p, p + 1, std::size_t{1000}})
    counts.insert(what == Collective::all_to_all ? n * p : n);
  return counts;
}

std::vector<int> rank_counts() {
  std::vector<int> counts;
  for (int p = 1; p <= 17; ++p)
    counts.push_back(p);
  counts.insert(counts.end(), {32, 33});
  return counts;
}

}  // namespace

TEST_CASE("every algorithm is proven, for any number of ranks and any count", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->refusal({.ranks = 4, .shared_memory = true})) continue;  // needs nodes
    for (int p : rank_counts()) {
      int proofs = 0;
      for (std::size_t n : counts_for(algorithm->what, p))
        proofs += check_roots(*algorithm, {.what = algorithm->what, .blocks = Blocks(n, p)});
      INFO(algorithm->label << ", " << p << " ranks");
      CHECK(proofs >= (algorithm->what == Collective::barrier ? 1 : 4));
    }
  }
}

TEST_CASE("every algorithm is proven where ranks lie on several nodes", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    int proofs = 0;
    for (const std::vector<int>& nodes :
         {std::vector{2, 2}, {3, 3}, {2, 2, 2}, {4, 4, 4}, {8, 8}, {3, 2}, {1, 2, 4}, {1, 1, 1}}) {
      const int p = std::accumulate(nodes.begin(), nodes.end(), 0);
      for (std::size_t n : counts_for(algorithm->what, p)) {
        proofs += check_roots(
            *algorithm, {.what = algorithm->what, .blocks = Blocks(n, p), .ranks_per_node = nodes});
      }
    }
    INFO(name_of(algorithm->what) << " " << algorithm->label);
    const bool one_node_only = algorithm->refusal({.ranks = 4, .nodes = 2}) != nullptr;
    CHECK((proofs > 0) == !one_node_only);
  }
}

TEST_CASE("every algorithm is proven for uneven and empty blocks", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->what == Collective::all_to_all) continue;  // equal blocks only
    for (const std::vector<std::size_t>& counts : {std::vector<std::size_t>{5, 0, 17},
                                                   {0, 0, 9},
                                                   {100, 1, 1, 0},
                                                   {0, 3, 0, 0, 4},
                                                   {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}) {
      check_roots(*algorithm, {.what = algorithm->what, .blocks = Blocks(counts)});
    }
  }
  SUCCEED();
}

TEST_CASE("algorithms of segments are proven for several of them", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    const std::string_view name = algorithm->name();
    if (name != "segmented_ring" && name != "double_tree" && name != "chain") continue;
    for (int p : {2, 3, 4, 5, 8}) {
      for (int segments : {1, 2, 3, 5}) {
        // Of 8 bytes per element; in the ring every block has as many segments.
        const std::size_t n =
            kSegmentBytes / 8 * static_cast<std::size_t>(segments * p) - (segments == 3 ? 1 : 0);
        const int proofs = check(
            *algorithm, {.what = algorithm->what, .blocks = Blocks(n, p), .dtype = DType::int64});
        CHECK(proofs == 1);
      }
    }
  }
}

// Errors, planted in small algorithms: each is found, and said.
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

// Formulas against the price of the recorded schedule.
namespace {

struct Tolerance {
  double least = 1 - 1e-9, most = 1 + 1e-9;
};

// What a formula says, over what its schedule costs.
double said_over_counted(const Algorithm& algorithm, const GroupCall& call, const Links& links) {
  const double bytes = static_cast<double>(call.blocks.total() * size_of(call.dtype));
  const double counted = Replay(record(algorithm, call), links).seconds();
  const double said = algorithm.seconds(call.shape(), bytes, links);
  return counted == 0 && said == 0 ? 1 : said / counted;
}

// Exact but for pipelines, and for near-equal blocks that a folding makes unequal.
Tolerance tolerance(const Algorithm& algorithm, int ranks) {
  const std::string_view name = algorithm.name();
  const bool power_of_two = power_of_two_below(ranks) == ranks;
  if (name == "double_tree") return {0.7, 1.51};
  if (name == "segmented_ring") return {1 - 1e-9, 1.1};
  if (power_of_two) return {};
  if (name == "recursive_halving" ||
      (name == "recursive_doubling" && algorithm.what == Collective::all_gather)) {
    return {0.85, 1 + 1e-9};
  }
  return {0.998, 1.002};  // counts that a power of two below p does not divide
}

void check_formula(const Algorithm& algorithm, const GroupCall& call) {
  if (!call.served_by(algorithm)) return;
  // Steps, bytes, bytes and steps with reductions.
  for (const Link& link : {Link{1, 0, 0}, Link{0, 1, 0}, Link{0.5e-6, 1 / 14e9, 1 / 10e9}}) {
    if (call.what == Collective::barrier && link.beta > 0) continue;  // signals of a byte
    Links links{.inside = link, .across = link};
    links.across.alpha *= 5;
    links.across.beta *= 1.5;
    // A flat algorithm's formula takes every link for the slowest.
    const bool hierarchical = algorithm.refusal({.ranks = 4}) != nullptr;
    if (!hierarchical) links.inside = links.across;
    INFO(text(call) << ": " << algorithm.label << ", alpha " << link.alpha << " beta "
                    << link.beta);
    const double ratio = said_over_counted(algorithm, call, links);
    const Tolerance allowed = tolerance(algorithm, call.ranks());
    CHECK(ratio >= allowed.least);
    CHECK(ratio <= allowed.most);
  }
}

}  // namespace

TEST_CASE("every formula is what the recorded schedule costs", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->refusal({.ranks = 4}) && algorithm->refusal({.ranks = 4, .nodes = 2})) {
      continue;  // of shared memory: not priced by messages
    }
    for (const std::vector<int>& nodes :
         {std::vector{2}, {3}, {4}, {5}, {6}, {7}, {8}, {12}, {16}, {17}, {2, 2}, {4, 4, 4, 4}}) {
      const int p = std::accumulate(nodes.begin(), nodes.end(), 0);
      for (std::size_t per_rank : {64, 8192, 65536}) {  // of 8 bytes: from one segment to eight
        if (algorithm->what == Collective::barrier) per_rank = 0;
        check_formula(*algorithm, {.what = algorithm->what,
                                   .blocks = Blocks(per_rank * static_cast<std::size_t>(p), p),
                                   .dtype = DType::float64,
                                   .ranks_per_node = nodes});
      }
    }
  }
}
