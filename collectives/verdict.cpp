// SPDX-License-Identifier: Apache-2.0
#include "collectives/verdict.hpp"

#include <algorithm>
#include <cstdio>

namespace lockstep {

namespace {

constexpr std::size_t kMostNamed = 4;  // of a thousand ranks that are late

bool is_message(const CallRecord& call) {
  return lockstep::is_message(call.what);
}

// Whether `theirs`, of rank `them` of the group, is the other side of `mine`, of rank `me`.
bool belongs(const CallRecord& theirs, int them, const CallRecord& mine, int me) {
  if (theirs.group != mine.group || theirs.number != mine.number) return false;
  if (!is_message(mine)) return !is_message(theirs);
  return is_message(theirs) && theirs.what != mine.what && theirs.root == me && mine.root == them;
}

const CallRecord* find_other_side(const RankReport& report, int them, const CallRecord& mine,
                                  int me) {
  for (const CallRecord& call : report.calls) {
    if (belongs(call, them, mine, me)) return &call;
  }
  return nullptr;
}

// Whether rank `them` has gone on: the other side of `mine` may be forgotten.
bool is_ahead(const RankReport& report, int them, const CallRecord& mine, int me) {
  return std::any_of(report.calls.begin(), report.calls.end(), [&](CallRecord call) {
    if (call.number <= mine.number) return false;
    call.number = mine.number;
    return belongs(call, them, mine, me);
  });
}

std::string seconds(double s) {
  char text[32];
  std::snprintf(text, sizeof text, s < 10 ? "%.1f s" : "%.0f s", s);
  return text;
}

std::string who(const RankReport& r) {
  return "rank " + std::to_string(r.rank) + " (pid " + std::to_string(r.pid) + " on node " +
         r.host + ")";
}

std::string in_group(const CallRecord& call) {
  return " in group " + std::string(call.group_name.data()) +
         (is_message(call) ? "" : ", call " + std::to_string(call.number));
}

std::string doing(const RankReport& r) {
  if (r.calls.empty()) return "it has called nothing yet";
  const CallRecord& last = r.calls.front();
  const std::string call = text_of(last) + in_group(last);
  switch (last.state) {
    case CallState::under_way:
      if (r.process == ProcessState::ended) return "it was in " + call;
      return "for " + seconds(r.taken - last.entered) + " it is in " + call;
    case CallState::failed:
      return "it has failed in " + call + ", " + seconds(r.taken - last.left) + " ago";
    case CallState::complete:
      break;
  }
  return "last it completed " + call + ", " + seconds(r.taken - last.left) + " ago";
}

const char* condition(const RankReport& r) {
  if (r.process == ProcessState::ended) return "it has ended; ";
  if (r.process == ProcessState::stopped) return "it is stopped; ";
  return r.left ? "it has left the job; " : "";
}

std::string join(const std::vector<std::string>& parts) {
  std::string all;
  for (std::size_t i = 0; i < std::min(parts.size(), kMostNamed); ++i)
    all += (i ? "; " : "") + parts[i];
  if (parts.size() <= kMostNamed) return all;
  return all + "; and " + std::to_string(parts.size() - kMostNamed) + " more";
}

// One case: a call, and who takes part in it.
class Inquiry {
 public:
  Inquiry(std::span<const CallRecord> mine, const GroupView& group, const RankReports& known)
      : mine_(mine), group_(group), known_(known) {}

  std::string mismatch() const {
    for (const CallRecord& call : mine_) {
      const std::string found =
          is_message(call) ? message_mismatch(call) : collective_mismatch(call);
      if (!found.empty()) return found;
    }
    return "";
  }

  bool complete() const {
    for (int r = 0; r < static_cast<int>(group_.members.size()); ++r) {
      if (r == group_.me || is_message(mine_.front())) continue;
      if (!report_of(r) || !find_other_side(*report_of(r), r, mine_.front(), group_.me))
        return false;
    }
    return true;
  }

  std::string ended() const {
    std::vector<std::string> found;
    for (const auto& [rank, report] : known_) {
      if (report.process == ProcessState::ended && !report.left && rank != job_rank(group_.me)) {
        found.push_back(who(report) + " has ended; " + doing(report));
      }
    }
    return found.empty() ? "" : join(found) + "; its own last messages may say why";
  }

  std::string silent() const {
    std::vector<std::string> found;
    for (int r = 0; r < static_cast<int>(group_.members.size()); ++r) {
      if (!report_of(r)) {
        found.push_back("rank " + std::to_string(job_rank(r)) + " does not answer");
      }
    }
    return found.empty() ? ""
                         : join(found) +
                               ", nor do others of its node: they are stopped, or the "
                               "node or its network is down";
  }

  // Those that cannot come stand before those that are only not here.
  std::string late() const {
    std::vector<std::string> found;
    for (const auto state : {ProcessState::ended, ProcessState::stopped}) {
      for (const int rank : late_ranks(state))
        found.push_back(has_not_come(rank));
    }
    for (const int rank : late_ranks(ProcessState::runs))
      found.push_back(has_not_come(rank));
    return found.empty() ? "" : join(found) + remedy();
  }

  std::string stopped() const {
    std::vector<std::string> found;
    for (const auto& [rank, report] : known_) {
      if (report.process == ProcessState::stopped && rank != job_rank(group_.me)) {
        found.push_back(who(report) + " is stopped; " + doing(report));
      }
    }
    return found.empty() ? "" : join(found) + remedy();
  }

 private:
  int job_rank(int member) const { return group_.members[static_cast<std::size_t>(member)]; }
  const RankReport* report_of(int member) const {
    const auto at = known_.find(job_rank(member));
    return at == known_.end() ? nullptr : &at->second;
  }

  // What the calls of all have in common is right, and of two opinions that of the lower rank.
  std::string collective_mismatch(const CallRecord& mine) const {
    std::map<int, const CallRecord*> calls{{group_.me, &mine}};
    for (int r = 0; r < static_cast<int>(group_.members.size()); ++r) {
      if (r == group_.me || !report_of(r)) continue;
      if (const CallRecord* call = find_other_side(*report_of(r), r, mine, group_.me))
        calls[r] = call;
    }
    const CallRecord* usual = nullptr;
    std::ptrdiff_t most = 0;
    for (const auto& [r, call] : calls) {
      const auto votes = std::count_if(calls.begin(), calls.end(), [c = call](const auto& other) {
        return other.second->fingerprint == c->fingerprint;
      });
      if (votes > most) {
        most = votes;
        usual = call;
      }
    }
    std::vector<std::string> found;
    for (const auto& [r, call] : calls) {
      if (call->fingerprint == usual->fingerprint) continue;
      found.push_back(name_of_member(r) + " called " + text_beside(*call, *usual));
    }
    if (found.empty()) return "";
    return join(found) + " instead of " + text_of(*usual) +
           ": every rank must make the same calls in the same order";
  }

  // What is not in the text of a call may be all that differs.
  static std::string text_beside(const CallRecord& call, const CallRecord& usual) {
    std::string text = text_of(call);
    if (call.blocks != usual.blocks) text += " with other counts per rank";
    if (call.memory != usual.memory) {
      const bool shared = call.memory == static_cast<std::uint64_t>(MemoryKind::shared);
      text += shared ? " in memory from allocate()" : " in memory that is not from allocate()";
    }
    return text;
  }

  std::string message_mismatch(const CallRecord& mine) const {
    const RankReport* report = report_of(mine.root);
    const CallRecord* theirs =
        report ? find_other_side(*report, mine.root, mine, group_.me) : nullptr;
    if (!theirs || theirs->fingerprint == mine.fingerprint) return "";
    return who(*report) + " called " + text_of(*theirs) + ", which does not match " +
           text_of(mine) + ": both sides must state the same count and type";
  }

  std::string name_of_member(int member) const {
    const RankReport* report = report_of(member);
    return report ? who(*report) : "rank " + std::to_string(job_rank(member));
  }

  std::string has_not_come(int rank) const {
    const RankReport& report = known_.at(rank);
    return who(report) + " has not come: " + condition(report) + doing(report);
  }

  bool is_late(int member, const RankReport& report) const {
    return std::any_of(mine_.begin(), mine_.end(), [&](const CallRecord& mine) {
      if (is_message(mine) && mine.root != member) return false;
      return !find_other_side(report, member, mine, group_.me) &&
             !is_ahead(report, member, mine, group_.me);
    });
  }

  // Ranks of the job; `runs` stands for all that are neither ended nor stopped.
  std::vector<int> late_ranks(ProcessState state) const {
    std::vector<int> found;
    for (int r = 0; r < static_cast<int>(group_.members.size()); ++r) {
      const RankReport* report = report_of(r);
      if (r == group_.me || !report || !is_late(r, *report)) continue;
      const bool apart =
          report->process == ProcessState::ended || report->process == ProcessState::stopped;
      if (apart ? report->process == state : state == ProcessState::runs) {
        found.push_back(report->rank);
      }
    }
    return found;
  }

  std::string remedy() const {
    const bool stopped = std::any_of(known_.begin(), known_.end(), [](const auto& known) {
      return known.second.process == ProcessState::stopped;
    });
    return stopped ? ": find out who stopped it (a debugger, job control), or raise "
                     "collectives.timeout_seconds"
                   : ": see its last messages, or raise collectives.timeout_seconds if it is only "
                     "slow";
  }

  std::span<const CallRecord> mine_;
  const GroupView& group_;
  const RankReports& known_;
};

}  // namespace

std::string text_of(const CallRecord& call) {
  std::string text = name_of(call.what);
  switch (call.what) {
    case Collective::barrier:
      return text;
    case Collective::all_reduce:
    case Collective::reduce_scatter:
      text += std::string(" (") + name_of(call.op) + ")";
      break;
    case Collective::reduce:
      text += std::string(" (") + name_of(call.op) + ") to rank " + std::to_string(call.root);
      break;
    case Collective::broadcast:
    case Collective::scatter:
    case Collective::receive:
      text += " from rank " + std::to_string(call.root);
      break;
    case Collective::gather:
    case Collective::send:
      text += " to rank " + std::to_string(call.root);
      break;
    case Collective::all_gather:
    case Collective::all_to_all:
      break;
  }
  return text + " of " + std::to_string(call.count) + " x " + name_of(call.dtype);
}

bool all_have_come(std::span<const CallRecord> mine, const GroupView& group,
                   const RankReports& known) {
  return Inquiry(mine, group, known).complete();
}

std::string verdict(std::span<const CallRecord> mine, const GroupView& group,
                    const RankReports& known, Patience patience) {
  const Inquiry inquiry(mine, group, known);
  std::string found = inquiry.mismatch();
  if (found.empty()) found = inquiry.ended();
  if (!found.empty() || patience == Patience::waiting) return found;
  if (patience == Patience::all_asked) found = inquiry.silent();
  if (!found.empty()) return found;
  found = inquiry.late();
  // Who is late may wait for a stopped rank of another group.
  const std::string stopped = inquiry.stopped();
  if (found.empty() || found.find("is stopped") != std::string::npos) {
    return found.empty() ? stopped : found;
  }
  return stopped.empty() ? found : stopped + "; " + found;
}

}  // namespace lockstep
