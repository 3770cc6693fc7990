// SPDX-License-Identifier: Apache-2.0
// What this rank calls, written down where its neighbours can read it, and the verdict when a call
// does not complete. One per rank and job, shared by all its groups; it watches every long wait.
//
//   costs  some 0.1 us per call, nothing while all goes well between nodes
//
// On one node nobody needs the help of a rank to know what it does (board.hpp). Between nodes a
// thread answers for its whole node (remote_boards.hpp).
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "collectives/board.hpp"
#include "collectives/deadline.hpp"
#include "collectives/verdict.hpp"
#include "collectives/wait_errors.hpp"

namespace lockstep {

class Context;
class RemoteBoards;

class FlightRecorder : public Watch {
 public:
  // A group and its counters.
  struct Group : GroupView {
    GroupName short_name{};
    std::uint64_t calls = 0;
    std::map<std::pair<int, Collective>, std::uint64_t> messages;  // by peer and direction
  };

  // Collective. The context must outlive it.
  static std::shared_ptr<FlightRecorder> of_job(const Context& context);
  // One per rank that is a thread.
  static std::vector<std::shared_ptr<FlightRecorder>> of_threads(int ranks);
  ~FlightRecorder() override;

  Group world() const;
  // The part of `group` with those members, the `nth` split of it.
  Group part(const Group& group, std::uint64_t nth, const std::string& name,
             const std::vector<int>& members_there, int me) const;

  // Around the one operation that is under way on this rank: its call, or the messages of one
  // transfer.
  void enter(Group& group, std::span<const Call> calls, double time);
  void leave(CallState state, double time);

  // What this rank called, the latest first: as much as a seat remembers.
  std::vector<CallRecord> calls() const { return seat_.calls(); }

  // Throws VerdictError if something is wrong that no patience cures.
  void look() override;
  // Why the operation under way failed with `error`, for an error text that begins with `call`.
  [[noreturn]] void fail(const std::string& call, const SystemError& error, double waited);

  // MPI may still use it: kept until MPI has ended.
  void keep(std::shared_ptr<const void> what) const;

 private:
  FlightRecorder(std::shared_ptr<Board> board, int seat, int ranks);
  RankReports neighbours() const;
  RankReports neighbours_when_all_have_come() const;
  CallRecord record_of(Group& group, const Call& call, double time) const;
  std::string ordinal() const;

  std::shared_ptr<Board> board_;
  Seat& seat_;
  int ranks_;
  const Context* context_ = nullptr;
  std::unique_ptr<RemoteBoards> remote_;  // null where all ranks are on one node

  const Group* group_ = nullptr;       // of the operation under way
  std::vector<CallRecord> under_way_;  // its calls
  std::vector<std::uint64_t> places_;  // on the seat
};

// What a neighbour can tell of the ranks of its node.
RankReport report_of(const Board& board, int seat);

}  // namespace lockstep
