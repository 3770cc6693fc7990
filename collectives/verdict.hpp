// SPDX-License-Identifier: Apache-2.0
// Who is to blame for a call that does not complete: arithmetic on what the ranks wrote down, and
// the words for it. In this order:
//
//   a rank that called something else      at once
//   a rank whose process has ended         at once
//   a rank of which nobody knows anything  at the deadline, when its node was asked
//   a rank that has not entered the call   at the deadline; with what it was doing last
//   a rank that is stopped                 at the deadline
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "collectives/board.hpp"

namespace lockstep {

// What is known of one rank of the job.
struct RankReport {
  int rank = 0, pid = 0;
  std::string host;
  ProcessState process = ProcessState::unknown;
  bool left = false;              // it has no communicator any more
  double taken = 0;               // when this was noted, by the clock of its node
  std::vector<CallRecord> calls;  // latest first
};
using RankReports = std::map<int, RankReport>;  // by rank of the job

// A group, as one of its ranks sees it.
struct GroupView {
  std::uint64_t id = 0;
  std::string name;
  std::vector<int> members;  // their ranks in the job
  int me = 0;                // a rank of the group
};

enum class Patience : std::uint8_t { waiting, deadline_passed, all_asked };

// What `mine`, the calls that are under way together, wait for; "" if nobody is to blame.
std::string verdict(std::span<const CallRecord> mine, const GroupView& group,
                    const RankReports& known, Patience patience);

// Whether every other rank of the group has come to this call, or to another in its place.
bool all_have_come(std::span<const CallRecord> mine, const GroupView& group,
                   const RankReports& known);

// "all_reduce (sum) of 5 x float32", "broadcast from rank 2 of 5 x float32"
std::string text_of(const CallRecord& call);

}  // namespace lockstep
