// SPDX-License-Identifier: Apache-2.0
#include "collectives/flight_recorder.hpp"

#include <chrono>
#include <cstdio>
#include <functional>
#include <numeric>
#include <string_view>
#include <thread>

#include "collectives/remote_boards.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/context/context.hpp"

namespace lockstep {

namespace {

constexpr double kAnswerSeconds = 0.5;  // for the other nodes: the job ends 2 s after the deadline
constexpr double kVoteSeconds = 0.3;    // for ranks that are about to come to a call

// FNV-1a: the same on every rank.
std::uint64_t hash(std::uint64_t seed, std::string_view text) {
  std::uint64_t h = seed ^ 0xcbf29ce484222325;
  for (const char c : text)
    h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

template <std::size_t n>
void copy_text(std::array<char, n>& to, std::string_view text) {
  text.copy(to.data(), n - 1);
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g s", seconds);
  return text;
}

}  // namespace

RankReport report_of(const Board& board, int seat) {
  const Seat& s = board.seat(seat);
  RankReport report{.rank = s.rank(),
                    .pid = s.pid(),
                    .host = s.host(),
                    .process = board.process(seat),
                    .left = s.left(),
                    .taken = 0,
                    .calls = s.calls()};
  report.taken = now();
  return report;
}

FlightRecorder::FlightRecorder(std::shared_ptr<Board> board, int seat, int ranks)
    : board_(std::move(board)), seat_(board_->seat(seat)), ranks_(ranks) {}

FlightRecorder::~FlightRecorder() {
  seat_.get_up();
}

std::shared_ptr<FlightRecorder> FlightRecorder::of_job(const Context& context) {
  auto board = Board::of_node(context.node_comm(), context.rank());
  const int mine = board->mine();
  auto recorder =
      std::shared_ptr<FlightRecorder>(new FlightRecorder(std::move(board), mine, context.size()));
  recorder->context_ = &context;
  if (context.nodes() > 1 && context.threads_allowed()) {
    recorder->remote_ = std::make_unique<RemoteBoards>(context, recorder->board_);
  }
  return recorder;
}

std::vector<std::shared_ptr<FlightRecorder>> FlightRecorder::of_threads(int ranks) {
  const auto board = Board::of_threads(ranks);
  std::vector<std::shared_ptr<FlightRecorder>> recorders;
  for (int r = 0; r < ranks; ++r) {
    recorders.push_back(std::shared_ptr<FlightRecorder>(new FlightRecorder(board, r, ranks)));
  }
  return recorders;
}

FlightRecorder::Group FlightRecorder::world() const {
  Group group;
  group.name = "world";
  copy_text(group.short_name, group.name);
  group.id = hash(0, group.name);
  group.members.resize(static_cast<std::size_t>(ranks_));
  std::iota(group.members.begin(), group.members.end(), 0);
  group.me = seat_.rank();
  return group;
}

// The lowest member tells parts of equal name apart.
FlightRecorder::Group FlightRecorder::part(const Group& group, std::uint64_t nth,
                                           const std::string& name,
                                           const std::vector<int>& members_there, int me) const {
  Group made;
  made.name = name;
  copy_text(made.short_name, name);
  made.id = hash(group.id,
                 name + "/" + std::to_string(nth) + "/" + std::to_string(members_there.front()));
  made.me = me;
  for (const int r : members_there)
    made.members.push_back(group.members[static_cast<std::size_t>(r)]);
  return made;
}

CallRecord FlightRecorder::record_of(Group& group, const Call& call, double time) const {
  const bool message = is_message(call.what);
  return {.group = group.id,
          .number = message ? ++group.messages[{call.root, call.what}] : ++group.calls,
          .fingerprint = call.fingerprint(),
          .count = call.count(),
          .entered = time,
          .root = call.root,
          .what = call.what,
          .dtype = call.dtype,
          .op = call.op,
          .group_name = group.short_name,
          .blocks = call.blocks.layout(),
          .memory = static_cast<std::uint64_t>(call.memory)};
}

void FlightRecorder::enter(Flight& flight, Group& group, std::span<const Call> calls, double time) {
  flight.recorder_ = this;
  flight.group_ = &group;
  flight.calls_.clear();
  flight.places_.clear();
  for (const Call& call : calls) {
    flight.calls_.push_back(record_of(group, call, time));
    flight.places_.push_back(seat_.enter(flight.calls_.back()));
  }
}

void FlightRecorder::leave(Flight& flight, CallState state, double time) {
  for (std::size_t i = 0; i < flight.places_.size(); ++i) {
    flight.calls_[i].state = state;
    seat_.leave(flight.places_[i], state, time);
  }
  flight.places_.clear();
}

RankReports FlightRecorder::neighbours() const {
  RankReports known;
  for (int i = 0; i < board_->size(); ++i) {
    RankReport report = report_of(*board_, i);
    known.emplace(report.rank, std::move(report));
  }
  return known;
}

// Two that disagree do not tell who is wrong: the others, who are about to come, decide.
RankReports FlightRecorder::neighbours_when_all_have_come(const Flight& flight) const {
  const double until = now() + kVoteSeconds;
  for (;;) {
    RankReports known = neighbours();
    if (all_have_come(flight.calls_, *flight.group_, known) || now() > until) return known;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void FlightRecorder::Flight::look() {
  const std::string found = verdict(calls_, *group_, recorder_->neighbours(), Patience::waiting);
  if (found.empty()) return;
  const bool first = recorder_->board_->claim_voice();
  throw VerdictError(found,
                     first ? VerdictError::Voice::this_rank : VerdictError::Voice::another_rank);
}

std::string FlightRecorder::ordinal(const Flight& flight) {
  const CallRecord& call = flight.calls_.front();
  return is_message(call.what) ? "" : ", call " + std::to_string(call.number);
}

// Of all ranks of a node the first one asks the other nodes and speaks; the others end with it.
void FlightRecorder::fail(Flight& flight, const std::string& call, const SystemError& error,
                          double waited) {
  leave(flight, CallState::failed, now());
  const std::string head = call + ordinal(flight) + ": ";
  if (const auto* found = dynamic_cast<const VerdictError*>(&error)) {
    throw VerdictError(head + found->what(), found->voice());
  }
  const bool late = dynamic_cast<const DeadlineError*>(&error) != nullptr;
  const bool disagree = dynamic_cast<const DisagreementError*>(&error) != nullptr;
  RankReports known = disagree ? neighbours_when_all_have_come(flight) : neighbours();
  const Patience patience = late ? Patience::deadline_passed : Patience::waiting;
  std::string why = verdict(flight.calls_, *flight.group_, known, patience);
  if (why.empty() && !late && !disagree) throw SystemError(head + error.what());

  const bool first = board_->claim_voice();
  if (remote_ && first) {
    remote_->ask(known, kAnswerSeconds);
    why = verdict(flight.calls_, *flight.group_, known, late ? Patience::all_asked : patience);
  }
  if (why.empty()) why = error.what();
  if (late) why = "not complete after " + seconds_text(waited) + ": " + why;
  throw VerdictError(head + why,
                     first ? VerdictError::Voice::this_rank : VerdictError::Voice::another_rank);
}

void FlightRecorder::keep(std::shared_ptr<const void> what) const {
  if (context_) context_->keep(std::move(what));
}

}  // namespace lockstep
