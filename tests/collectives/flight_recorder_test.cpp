// SPDX-License-Identifier: Apache-2.0
// What ranks write down, and who is to blame by it: the arithmetic alone, and ranks as threads.
// tests/launch/verdict_test.py has ranks as processes.
#include "collectives/flight_recorder.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "collectives/communicator.hpp"
#include "tests/collectives/ranks.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

CallRecord record(std::uint64_t number, Collective what, std::uint64_t count = 5) {
  CallRecord r{.group = 1, .number = number, .fingerprint = 0, .count = count, .what = what};
  r.fingerprint = static_cast<std::uint64_t>(what) * 1000 + count;
  r.group_name = {'d', 'a', 't', 'a'};
  return r;
}

CallRecord complete(CallRecord r, double left = 0) {
  r.state = CallState::complete;
  r.left = left;
  return r;
}

RankReport report(int rank, std::vector<CallRecord> calls) {
  return {.rank = rank,
          .pid = 100 + rank,
          .host = "n0",
          .process = ProcessState::runs,
          .left = false,
          .taken = 12.3,
          .calls = std::move(calls)};
}

// Rank 0 of `ranks` waits in its all_reduce number 2.
struct Scene {
  CallRecord mine = record(2, Collective::all_reduce);
  GroupView group{.id = 1, .name = "data", .members = {}, .me = 0};
  RankReports known;

  explicit Scene(int ranks) {
    for (int r = 0; r < ranks; ++r) {
      group.members.push_back(r);
      known.emplace(r, report(r, {mine, complete(record(1, Collective::barrier))}));
    }
  }
  void late(int rank) { known.at(rank).calls = {complete(record(1, Collective::barrier))}; }
  std::string say(Patience patience) const { return verdict({&mine, 1}, group, known, patience); }
};

}  // namespace

TEST_CASE("a seat remembers the latest calls, and how they ended", "[unit]") {
  const auto board = Board::of_threads(1);
  Seat& seat = board->seat(0);
  CHECK(seat.calls().empty());
  for (std::uint64_t i = 1; i <= 200; ++i)
    seat.leave(seat.enter(record(i, Collective::all_gather)), CallState::complete, 7);
  CallRecord last = record(201, Collective::broadcast);
  const std::uint64_t at = seat.enter(last);

  auto calls = seat.calls();
  REQUIRE(calls.size() == Seat::kCalls);
  CHECK(calls.front().number == 201);
  CHECK(calls.front().state == CallState::under_way);
  CHECK(calls[1].state == CallState::complete);
  CHECK(calls[1].left == 7);
  CHECK(calls.back().number == 201 - Seat::kCalls + 1);
  last.state = CallState::failed;
  seat.leave(at, last.state, last.left);
  CHECK(seat.calls().front().state == CallState::failed);
}

TEST_CASE("who reads a seat while it is written sees whole calls", "[unit]") {
  const auto board = Board::of_threads(1);
  std::atomic<bool> enough{false};
  std::thread writer([&] {
    for (std::uint64_t i = 1; !enough; ++i) {
      CallRecord r = record(i, Collective::all_reduce, i);
      r.fingerprint = i;
      board->seat(0).leave(board->seat(0).enter(r), CallState::complete, static_cast<double>(i));
    }
  });
  int torn = 0, seen = 0;
  while (seen < 2000000) {
    for (const CallRecord& r : board->seat(0).calls()) {
      ++seen;
      torn += r.number != r.count || r.number != r.fingerprint ||
              (r.state == CallState::complete && r.left != static_cast<double>(r.number));
    }
  }
  enough = true;
  writer.join();
  CHECK(torn == 0);
}

TEST_CASE("the state of a process", "[unit]") {
  CHECK(look_at_process(getpid()).state == ProcessState::runs);
  CHECK(look_at_process(getpid()).start > 0);
  const pid_t child = fork();
  if (child == 0) {
    for (;;)
      pause();
  }
  CHECK(look_at_process(child).state == ProcessState::runs);
  int status = 0;
  kill(child, SIGSTOP);
  waitpid(child, &status, WUNTRACED);
  CHECK(look_at_process(child).state == ProcessState::stopped);
  kill(child, SIGKILL);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  CHECK(look_at_process(child).state == ProcessState::ended);  // a zombie
  waitpid(child, &status, 0);
  CHECK(look_at_process(child).state == ProcessState::ended);
}

TEST_CASE("nobody is to blame when all have come", "[unit]") {
  const Scene scene(3);
  CHECK(scene.say(Patience::waiting).empty());
  CHECK(scene.say(Patience::deadline_passed).empty());
  CHECK(scene.say(Patience::all_asked).empty());
}

TEST_CASE("a late rank is named with what it did last, not before the deadline", "[unit]") {
  Scene scene(3);
  scene.late(2);
  CHECK(scene.say(Patience::waiting).empty());
  CHECK(
      scene.say(Patience::deadline_passed)
          .find(
              "rank 2 (pid 102 on node n0) has not come: last it completed barrier in group data, "
              "call 1, 12 s ago: see its last messages") == 0);
  scene.known.at(2).calls.clear();
  CHECK(contains(scene.say(Patience::deadline_passed), "it has called nothing yet"));
  scene.known.at(2).left = true;
  CHECK(contains(scene.say(Patience::deadline_passed), "it has left the job"));
}

TEST_CASE("a rank that is many calls ahead is not late", "[unit]") {
  Scene scene(2);
  scene.known.at(1).calls = {record(2 + Seat::kCalls, Collective::broadcast)};
  CHECK(scene.say(Patience::deadline_passed).empty());
}

TEST_CASE("a rank that cannot come is named before those that wait for it", "[unit]") {
  Scene scene(4);
  for (int r : {1, 2, 3})
    scene.late(r);
  scene.known.at(3).process = ProcessState::stopped;
  const std::string text = scene.say(Patience::deadline_passed);
  CHECK(text.find("rank 3 (pid 103 on node n0) has not come: it is stopped; last it") == 0);
  CHECK(contains(text, "find out who stopped it"));
  CHECK(scene.say(Patience::waiting).empty());  // somebody may continue it
}

TEST_CASE("a stopped rank is named also where it has come, or is in another group", "[unit]") {
  Scene scene(3);
  scene.known.at(1).process = ProcessState::stopped;
  CHECK(scene.say(Patience::deadline_passed).find("rank 1 (pid 101 on node n0) is stopped; for") ==
        0);
  scene.known.at(1).process = ProcessState::runs;
  RankReport outside = report(7, {});
  outside.process = ProcessState::stopped;
  scene.known.emplace(7, outside);
  scene.late(2);
  const std::string text = scene.say(Patience::deadline_passed);
  CHECK(text.find("rank 7 (pid 107 on node n0) is stopped") == 0);
  CHECK(contains(text, "; rank 2 (pid 102 on node n0) has not come"));
}

TEST_CASE("a rank that has ended is named at once, unless it says so itself", "[unit]") {
  Scene scene(3);
  scene.known.at(2).process = ProcessState::ended;
  CHECK(scene.say(Patience::waiting).find("rank 2 (pid 102 on node n0) has ended; it was in") == 0);
  scene.known.at(2).left = true;
  CHECK(scene.say(Patience::waiting).empty());
}

TEST_CASE("a rank of which nothing is known is named when all were asked", "[unit]") {
  Scene scene(3);
  scene.known.erase(2);
  CHECK(scene.say(Patience::deadline_passed).empty());
  CHECK(scene.say(Patience::all_asked).find("rank 2 does not answer") == 0);
}

TEST_CASE("of a thousand late ranks four are named", "[unit]") {
  Scene scene(1000);
  for (int r = 1; r < 1000; ++r)
    scene.late(r);
  CHECK(contains(scene.say(Patience::deadline_passed), "; and 995 more: see"));
}

TEST_CASE("most ranks are right, and of two the lower one", "[unit]") {
  const std::string gather = "all_gather of 5 x float32",
                    reduce = "all_reduce (sum) of 5 x float32";
  Scene three(3);
  three.known.at(1).calls = {record(2, Collective::all_gather)};
  CHECK(three.say(Patience::waiting)
            .find("rank 1 (pid 101 on node n0) called " + gather + " instead of " + reduce) == 0);
  three.known.at(2).calls = {record(2, Collective::all_gather)};
  CHECK(three.say(Patience::waiting)
            .find("rank 0 (pid 100 on node n0) called " + reduce + " instead of " + gather) == 0);
  Scene two(2);
  two.known.at(1).calls = {record(2, Collective::all_reduce, 6)};
  CHECK(contains(two.say(Patience::waiting),
                 "called all_reduce (sum) of 6 x float32 instead of " + reduce));
}

TEST_CASE("calls of another group or number are no mismatch", "[unit]") {
  Scene scene(2);
  CallRecord other = record(2, Collective::all_gather);
  other.group = 9;
  scene.known.at(1).calls = {record(3, Collective::all_gather), other};
  CHECK(scene.say(Patience::waiting).empty());
}

TEST_CASE("messages are compared with the peer's", "[unit]") {
  Scene scene(3);
  scene.mine = record(1, Collective::receive);
  scene.mine.root = 2;
  CallRecord sent = record(1, Collective::send, 7);
  sent.root = 0;
  scene.known.at(2).calls = {sent};
  CHECK(contains(scene.say(Patience::waiting),
                 "rank 2 (pid 102 on node n0) called send to rank 0 of 7 x float32, "
                 "which does not match receive from rank 2 of 5 x float32"));
  sent.root = 1;  // to somebody else
  scene.known.at(2).calls = {sent};
  CHECK(scene.say(Patience::waiting).empty());
  CHECK(scene.say(Patience::deadline_passed).find("rank 2 ") == 0);
}

namespace {

struct Ending {
  std::string text;
  bool speaks = false;
};

// What each of `ranks` threads gets to hear when `body` runs on a communicator over all of them.
std::vector<Ending> endings(int ranks, double seconds,
                            const std::function<void(const Communicator&, Device&)>& body) {
  const auto recorders = FlightRecorder::of_threads(ranks);
  std::vector<Ending> endings(recorders.size());
  on_ranks(ranks, [&](Transport& net) {
    const int me = net.rank();
    auto device = make_cpu_device();
    const auto i = static_cast<std::size_t>(me);
    const auto world =
        Communicator::over(net.split(0, me), *device, {.timeout_seconds = seconds}, recorders[i]);
    try {
      body(world, *device);
    } catch (const VerdictError& e) {
      endings[i] = {e.what(), e.voice() == VerdictError::Voice::this_rank};
    }
  });
  return endings;
}

constexpr double kForever = 600;  // a test that waits for it has failed

}  // namespace

TEST_CASE("ranks that agree hear nothing", "[unit]") {
  for (const Ending& e : endings(3, kForever, [](const Communicator&world, Device&device) {
         const auto pair = world.split("pair", [](int r) { return r / 2; });
         Tensor data = Tensor::empty(device, {100});
         for (int i = 0; i < 100; ++i) {
           world.all_reduce(data, ReduceOp::max).wait();
           pair.broadcast(data, 0).wait();
           if (world.rank() == 0) world.send(data, 2).wait();
           if (world.rank() == 2) world.receive(data, 0).wait();
         }
       })) {
    CHECK(e.text.empty());
  }
}

TEST_CASE("a rank that does not come is named by the others, and one of them speaks", "[unit]") {
  int speakers = 0;
  std::atomic<int> gave_up{0};
  const auto heard = endings(3, 1, [&](const Communicator& world, Device& device) {
    Tensor data = Tensor::empty(device, {100});
    world.broadcast(data, 1).wait();
    while (world.rank() == 2 && gave_up < 2)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (world.rank() == 2) return;
    try {
      world.all_reduce(data, ReduceOp::sum).wait();
    } catch (const VerdictError&) {
      ++gave_up;
      throw;
    }
  });
  for (std::size_t r = 0; r < 2; ++r) {
    INFO(heard[r].text);
    CHECK(
        contains(heard[r].text, "all_reduce of 100 x float32 in group world of 3 ranks (native/"));
    CHECK(contains(heard[r].text, ", call 2: not complete after "));
    CHECK(contains(heard[r].text, "rank 2 (pid "));
    CHECK(contains(
        heard[r].text,
        "last it completed broadcast from rank 1 of 100 x float32 in group world, call 1"));
    speakers += heard[r].speaks;
  }
  CHECK(speakers == 1);
}

TEST_CASE("a rank that calls something else is named long before the deadline", "[unit]") {
  const std::vector<std::function<Work(const Communicator&, Tensor&, Tensor&, Tensor&)>> mistakes{
      [](auto& c, auto& data, auto&, auto&) { return c.broadcast(data, 0); },
      [](auto& c, auto&, auto& small, auto&) { return c.all_reduce(small, ReduceOp::sum); },
      [](auto& c, auto&, auto&, auto& integers) { return c.all_reduce(integers, ReduceOp::sum); },
      [](auto& c, auto& data, auto&, auto&) { return c.all_reduce(data, ReduceOp::max); }};
  for (const auto& mistake : mistakes) {
    for (const Ending& e : endings(3, kForever, [&](const Communicator&world, Device&device) {
           const auto group = world.split("data", [](int) { return 0; });
           Tensor data = Tensor::empty(device, {100}), small = Tensor::empty(device, {99});
           Tensor integers = Tensor::empty(device, {100}, DType::int32);
           if (world.rank() == 1) {
             mistake(group, data, small, integers).wait();
           } else {
             group.all_reduce(data, ReduceOp::sum).wait();
           }
         })) {
      INFO(e.text);
      CHECK(contains(e.text, "in group data of 3 ranks"));
      CHECK(contains(e.text, "rank 1 (pid "));
      CHECK(contains(e.text, " instead of all_reduce (sum) of 100 x float32: "));
    }
  }
}

TEST_CASE("every part of a group has its number, the same on all its ranks", "[unit]") {
  const auto recorders = FlightRecorder::of_threads(4);
  const auto id = [&](int rank, std::uint64_t nth, const std::string& name,
                      std::vector<int> members) {
    const auto& r = *recorders[static_cast<std::size_t>(rank)];
    return r.part(r.world(), nth, name, members, 0).id;
  };
  CHECK(id(0, 0, "data", {0, 2}) == id(2, 0, "data", {0, 2}));
  CHECK(id(0, 0, "data", {0, 2}) != id(1, 0, "data", {1, 3}));
  CHECK(id(0, 0, "data", {0, 2}) != id(0, 1, "data", {0, 2}));
  CHECK(id(0, 0, "data", {0, 2}) != id(0, 0, "tensor", {0, 2}));
  const auto half = recorders[3]->part(recorders[3]->world(), 0, "half", {1, 3}, 1);
  CHECK(recorders[3]->part(half, 0, "last", {1}, 0).members == std::vector<int>{3});
}
