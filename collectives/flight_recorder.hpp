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

class FlightRecorder {
 public:
  // A group and its counters.
  struct Group : GroupView {
    GroupName short_name{};
    std::uint64_t calls = 0;
    std::map<std::pair<int, Collective>, std::uint64_t> messages;  // by peer and direction
  };

  // One operation of this rank while it is under way: its call, or the messages of one transfer.
  // A GPU may have several. Its look() throws VerdictError if something is wrong that no patience
  // cures.
  class Flight : public Watch {
   public:
    void look() override;

   private:
    friend class FlightRecorder;
    FlightRecorder* recorder_ = nullptr;
    const Group* group_ = nullptr;
    std::vector<CallRecord> calls_{};
    std::vector<std::uint64_t> places_{};  // on the seat
  };

  // Collective. The context must outlive it.
  static std::shared_ptr<FlightRecorder> of_job(const Context& context);
  // One per rank that is a thread.
  static std::vector<std::shared_ptr<FlightRecorder>> of_threads(int ranks);
  ~FlightRecorder();

  Group world() const;
  // The part of `group` with those members, the `nth` split of it.
  Group part(const Group& group, std::uint64_t nth, const std::string& name,
             const std::vector<int>& members_there, int me) const;

  // Around an operation, by one thread at a time.
  void enter(Flight& flight, Group& group, std::span<const Call> calls, double time);
  void leave(Flight& flight, CallState state, double time);

  // What this rank called, the latest first: as much as a seat remembers.
  std::vector<CallRecord> calls() const { return seat_.calls(); }

  // Why an operation failed with `error`, for an error text that begins with `call`.
  [[noreturn]] void fail(Flight& flight, const std::string& call, const SystemError& error,
                         double waited);

  // MPI may still use it: kept until MPI has ended.
  void keep(std::shared_ptr<const void> what) const;

 private:
  FlightRecorder(std::shared_ptr<Board> board, int seat, int ranks);
  RankReports neighbours() const;
  RankReports neighbours_when_all_have_come(const Flight& flight) const;
  CallRecord record_of(Group& group, const Call& call, double time) const;
  static std::string ordinal(const Flight& flight);

  std::shared_ptr<Board> board_;
  Seat& seat_;
  int ranks_;
  const Context* context_ = nullptr;
  std::unique_ptr<RemoteBoards> remote_;  // null where all ranks are on one node
};

// What a neighbour can tell of the ranks of its node.
RankReport report_of(const Board& board, int seat);

}  // namespace lockstep
