// SPDX-License-Identifier: Apache-2.0
// Replays of small schedules against times that can be worked out by hand.
#include "perfmodels/simulate/replay.hpp"

#include "perfmodels/simulate/networks.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

// Ranks that send each other what a test says.
class Script {
 public:
  explicit Script(std::vector<int> ranks_per_node) {
    int ranks = 0;
    for (const int on_node : ranks_per_node)
      ranks += on_node;
    schedule.call.blocks = Blocks(0, ranks);
    schedule.call.ranks_per_node = std::move(ranks_per_node);
    schedule.ranks.resize(static_cast<std::size_t>(ranks));
    tickets_.resize(schedule.ranks.size());
  }
  void send(int rank, int to, std::size_t bytes) { add(rank, TrackEvent::What::send, to, bytes); }
  void receive(int rank, int from, std::size_t bytes) {
    add(rank, TrackEvent::What::receive, from, bytes);
  }
  void work(int rank, Ticket seconds) {
    add(rank, TrackEvent::What::work, 0, 0);
    schedule.ranks[static_cast<std::size_t>(rank)].events.back().ticket = seconds * 1000000000000;
  }
  void complete(int rank) { add(rank, TrackEvent::What::complete, 0, 0); }
  void message(int from, int to, std::size_t bytes) {
    send(from, to, bytes);
    receive(to, from, bytes);
  }
  void complete_all() {
    for (std::size_t r = 0; r < schedule.ranks.size(); ++r)
      complete(static_cast<int>(r));
  }

  Schedule schedule;

 private:
  void add(int rank, TrackEvent::What what, int peer, std::size_t bytes) {
    const auto r = static_cast<std::size_t>(rank);
    Track& track = schedule.ranks[r];
    const bool posts = what == TrackEvent::What::send || what == TrackEvent::What::receive;
    track.events.push_back(
        {.what = what,
         .op = ReduceOp::sum,
         .num_outs = static_cast<std::uint16_t>(what == TrackEvent::What::receive),
         .num_ins = static_cast<std::uint32_t>(what == TrackEvent::What::send),
         .peer = peer,
         .first_region = static_cast<std::uint32_t>(track.regions.size()),
         .ticket = posts ? ++tickets_[r] : tickets_[r]});
    if (posts) track.regions.push_back({rank, 0, 0, bytes});
  }
  std::vector<Ticket> tickets_;
};

// Latency 10, one byte takes 1.
Network fifo(int ports = 1, double latency = 10) {
  const auto model = std::make_shared<AlphaBetaModel>(latency, 1, Latency::passes);
  return {.inside = {.model = model}, .across = {.model = model, .ports = ports}};
}

// Every message waits for its receiver; inside nodes the latency is 1.
Network waiting(int ports = 1) {
  Network network = fifo(ports);
  network.inside.model = std::make_shared<AlphaBetaModel>(1, 1, Latency::passes);
  network.inside.rendezvous_bytes = network.across.rendezvous_bytes = 0;
  return network;
}

double seconds(const Script& script, const Network& network) {
  return replay(script.schedule, network).seconds;
}

}  // namespace

TEST_CASE("one message takes what its model says") {
  Script script({1, 1});
  script.message(0, 1, 5);
  script.complete_all();
  CHECK(seconds(script, fifo()) == 15);
}

TEST_CASE("messages of one rank queue at its port, their latencies overlap") {
  Script script({1, 1, 1});
  script.message(0, 1, 5);
  script.message(0, 2, 7);
  script.complete_all();
  CHECK(seconds(script, fifo()) == 5 + 7 + 10);
  Network holding = fifo();
  holding.across.model = std::make_shared<AlphaBetaModel>(10, 1, Latency::holds_port);
  CHECK(seconds(script, holding) == 15 + 17);
}

TEST_CASE("messages to one rank queue at its port in the order in which they arrive") {
  Script script({1, 1, 1});
  script.message(0, 2, 5);
  script.message(1, 2, 7);
  script.complete_all();
  CHECK(seconds(script, fifo()) == 10 + 5 + 7);
}

TEST_CASE("the ranks of a node share its ports to other nodes") {
  Script script({2, 2});
  script.message(0, 2, 5);
  script.message(1, 3, 5);
  script.complete_all();
  CHECK(seconds(script, fifo(1)) == 5 + 5 + 10);
  CHECK(seconds(script, fifo(2)) == 5 + 10);
  CHECK(replay(script.schedule, fifo(1)).waiting == 5 + 5);  // each takes twice as long
}

TEST_CASE("a port that ranks share hides no latency between their steps") {
  Script script({2, 2});
  for (int step = 0; step < 2; ++step) {
    for (const int r : {0, 1}) {
      script.message(r, r + 2, 5);
      script.message(r + 2, r, 5);
    }
    script.complete_all();
  }
  CHECK(seconds(script, fifo(1)) == 2 * (5 + 5 + 10));  // a queue would take 4 * 5 + 10
}

TEST_CASE("what a message cannot use of a shared port the others get") {
  Script script({2, 2, 1, 3});
  script.message(0, 4, 20);              // two thirds of node 0, since
  for (const int from : {1, 2, 3})       // the other gets one third
    script.message(from, from + 4, 12);  // of the port into node 3
  script.complete(4);
  CHECK(seconds(script, fifo(1, 0)) == Approx(30));
  // Until first bytes are there both halves of node 0 leave alike, 5 of 20; the others' last byte
  // leaves at 31, one byte is left then.
  CHECK(seconds(script, fifo(1)) == Approx(10 + 21 + 1 + 10));
  script.complete_all();
  CHECK(seconds(script, fifo(1, 0)) == Approx(36));
  CHECK(seconds(script, fifo(1)) == Approx(36 + 10));
}

TEST_CASE("a receiver's port serves what arrives first, not what left first") {
  Script script({1, 2});
  script.message(0, 2, 5);  // arrives from 10 on
  script.message(1, 2, 7);  // from 1 on
  script.complete_all();
  CHECK(seconds(script, waiting(2)) == 10 + 5);
  CHECK(seconds(script, waiting(1)) == 10 + 5);  // the same where nodes share ports
  CHECK(seconds(script, fifo()) == 10 + 7 + 5);
}

TEST_CASE("a busy receiver holds up what has not left when the first byte is there") {
  for (const std::size_t bytes : {20, 5}) {
    Script script({1, 1, 1, 1});
    script.message(0, 2, bytes);
    script.message(1, 2, bytes);
    script.message(1, 3, 5);
    script.complete(3);
    // 20 bytes: the second arrives from 30 to 50, has left at 40; 5 bytes: at 5.
    CHECK(seconds(script, waiting()) == (bytes == 20 ? 40 : 5) + 5 + 10);
  }
}

TEST_CASE(
    "of two messages on one path a queue delivers the first early, shares deliver both late") {
  Script script({1, 1});
  script.message(0, 1, 5);
  script.complete(1);
  script.message(0, 1, 5);
  Network network = fifo();
  CHECK(seconds(script, network) == 5 + 10);
  network.rank_ports = RankPorts::share;
  CHECK(seconds(script, network) == 5 + 5 + 10);

  Machine profile;  // says which
  profile.links.push_back({.level = "across", .segments = {{0, {10}, {1}}}});
  CHECK(seconds(script, machine_network(profile, {.ranks = 2, .nodes = 2})) == 5 + 10);
  profile.links.front().sharing = "share";
  CHECK(seconds(script, machine_network(profile, {.ranks = 2, .nodes = 2})) == 5 + 5 + 10);
}

TEST_CASE("work takes its time, messages move meanwhile") {
  Script script({1, 1});
  script.message(0, 1, 5);
  script.work(1, 12);
  script.complete_all();
  CHECK(seconds(script, fifo()) == Approx(15));
}

TEST_CASE("a node queues both at its ports out and at its ports in") {
  Script out({2, 1, 1});  // to different nodes
  out.message(0, 2, 5);
  out.message(1, 3, 7);
  out.complete_all();
  CHECK(seconds(out, fifo(1)) == 5 + 7 + 10);
  CHECK(seconds(out, fifo(2)) == 7 + 10);
  Script in({1, 1, 2});  // from different nodes
  in.message(0, 2, 5);
  in.message(1, 3, 7);
  in.complete_all();
  CHECK(seconds(in, fifo(1)) == 10 + 5 + 7);
  CHECK(seconds(in, fifo(2)) == 7 + 10);
}

TEST_CASE("a rank whose port is busy does not hold up its node's") {
  Script script({2, 3});
  script.message(0, 1, 100);  // inside: holds the port of rank 0 until 100
  script.message(0, 2, 5);
  script.message(1, 3, 7);  // meanwhile leaves the node
  script.complete(1);
  script.complete(3);
  script.complete(2);
  CHECK(seconds(script, fifo()) == 100 + 5 + 10);
}

TEST_CASE("eager senders go on; rendezvous waits for both ends, and shakes hands") {
  // Rank 1 is late: it first gets 20 bytes from rank 2.
  Script script({1, 1, 1});
  script.message(2, 1, 20);
  script.complete(1);
  script.message(0, 1, 5);
  script.complete_all();
  Network network = fifo();
  CHECK(seconds(script, network) == 20 + 5 + 10);  // it has long been sent
  network.across.rendezvous_bytes = 4;
  network.handshakes = Handshakes::free;
  CHECK(seconds(script, network) == 30 + 15);
  network.handshakes = Handshakes::priced;
  network.across.model =
      std::make_shared<AlphaBetaModel>(std::vector<Segment>{{0, {10}, {1}}}, Latency::passes, 4);
  CHECK(seconds(script, network) == 20 + 30 + 20 + 15);  // the first one waits, too
}

TEST_CASE("LogGP: overheads are the processors', gaps the ports'") {
  const LogGP p{.L = {10}, .o_send = {2}, .o_recv = {3}, .g = {4}, .G = {1}};
  const LogGPModel model(p);
  CHECK(model.of(6).alone() == 2 + 5 + 10 + 3);
  Script script({1, 1});
  for (int i = 0; i < 3; ++i)
    script.message(0, 1, 1);
  script.complete_all();
  Network network = fifo();
  network.across.model = std::make_shared<LogGPModel>(p);
  CHECK(seconds(script, network) == 2 + 2 * 4 + 10 + 3);
  CHECK(LogPModel(p).of(4).alone() == 2 + 10 + 3);      // w = g/G = 4 bytes
  CHECK(LogPModel(p).of(9).alone() == 2 + 8 + 10 + 3);  // three of them
}

TEST_CASE("PLogP of a profile: the handshake is not in the flight, tables go on straight") {
  LinkProfile link{.level = "across",
                   .segments = {{0, {10}, {1}}, {100, {30}, {1}}},
                   .messages = Curve({{1, {11}}, {100, {110}}, {101, {131}}, {200, {230}}}),
                   .gaps = Curve({{1, {1}}, {100, {100}}}),
                   .rendezvous_bytes = 100};
  const PLogPModel model(link);
  CHECK(model.of(100).handshake == 0);
  CHECK(model.of(100).alone() == Approx(110));
  CHECK(model.of(200).handshake == Approx(20));
  CHECK(model.of(200).alone() == Approx(210));
  CHECK(model.of(200).hold == Approx(200));
  CHECK(model.of(1000).hold == Approx(1000));
  CHECK(model.of(1000).alone() + model.of(1000).handshake == Approx(1030));
}

TEST_CASE("PLogP: a table of gaps") {
  const PLogPModel model(10, Curve({{1, {2}}, {100, {200}}}), 1, 1);
  CHECK(model.of(100).alone() == Approx(210));
  CHECK(model.of(10).hold == Approx(20));
}

TEST_CASE("what cannot end is a mistake of the schedule") {
  Script lonely({1, 1});
  lonely.receive(0, 1, 4);
  lonely.complete_all();
  CHECK_THROWS_AS(replay(lonely.schedule, fifo()), LogicError);

  Script circle({1, 1});  // both wait for the other before they send
  for (const int r : {0, 1}) {
    circle.receive(r, 1 - r, 4);
    circle.complete(r);
    circle.send(r, 1 - r, 4);
  }
  circle.complete_all();
  CHECK_THROWS_AS(replay(circle.schedule, fifo()), LogicError);
}

TEST_CASE("a hierarchical ring runs at the mean of its links, not at the slowest") {
  // 4 nodes of 2 neighbours, short messages: every second hop costs 1, the others 10.
  Network network = fifo();
  network.inside.model = std::make_shared<AlphaBetaModel>(1, 0, Latency::passes);
  network.across.model = std::make_shared<AlphaBetaModel>(10, 0, Latency::passes);
  const Algorithm& ring = *find_algorithm(Collective::all_reduce, "ring");
  const GroupCall call = priced_call(Collective::all_reduce, 64, {.ranks = 8, .nodes = 4});
  network.copies = LocalCopies::free;
  const double took = replay(record(ring, call), network).seconds;
  CHECK(took >= 7 * (1 + 10));
  CHECK(took < 8 * (1 + 10));  // 14 steps of 10 would be 140
}

// Open MPI 4.1 over emulated links of 5 ms and 50 Mbit/s, eager: means of back-to-back calls of 8
// processes that share two cores, which explains why the replay is below.
TEST_CASE("measured rings on 4 nodes of 2 ranks") {
  Network network = fifo();
  network.inside.model = std::make_shared<AlphaBetaModel>(1.5e-6, 8 / 34e9, Latency::holds_port);
  network.across.model = std::make_shared<AlphaBetaModel>(5e-3, 8 / 50e6, Latency::passes);
  network.copies = LocalCopies::free;
  const Algorithm& ring = *find_algorithm(Collective::all_reduce, "ring");
  struct Measured {
    double bytes, seconds;
  };
  for (const auto& [bytes, seconds] : {Measured{4 << 10, 44.0e-3},
                                       {64 << 10, 53.1e-3},
                                       {256 << 10, 84.9e-3},
                                       {1 << 20, 299.8e-3}}) {
    const GroupCall call = priced_call(Collective::all_reduce, bytes, {.ranks = 8, .nodes = 4});
    const double ratio = replay(record(ring, call), network).seconds / seconds;
    INFO(bytes << " bytes: replayed / measured " << ratio);
    CHECK(ratio > 0.8);
    CHECK(ratio < 1.02);
    // The formula, which takes every link for the slowest, says up to 1.7 times what was measured.
    CHECK(14 * (5e-3 + bytes / 50e6) > 1.15 * seconds);
  }
}

TEST_CASE("a ring of 1024 ranks is two million messages", "[.][large]") {
  const GroupCall call =
      priced_call(Collective::all_reduce, 1 << 24, {.ranks = 1024, .nodes = 128});
  const double begin = now();
  const Schedule schedule = record(*find_algorithm(Collective::all_reduce, "ring"), call);
  const double recorded = now();
  const Replayed result = replay(schedule, machine_network({}, {.ranks = 1024, .nodes = 128}));
  WARN("recorded in " << recorded - begin << " s, replayed in " << now() - recorded << " s, "
                      << result.messages << " messages");
  CHECK(result.messages == 1024 * 2 * 1023);
}
