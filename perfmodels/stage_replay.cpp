// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/stage_replay.hpp"

#include <algorithm>
#include <limits>
#include <queue>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// One stream: what it still has to do, in order.
struct Queue {
  const std::vector<ReplayItem>* items = nullptr;
  std::vector<Span>* spans = nullptr;
  std::size_t next = 0;
  double left = 0;  // of the item at work, as if alone
  bool at_work = false;
  bool came = false;                       // to the joint operation at its head, or waits to begin
  bool done = false;                       // with its share of that
  double until = kNever, begins = kNever;  // of one that waits: the last rank, then a core

  bool empty() const { return next == items->size(); }
  const ReplayItem& front() const { return (*items)[next]; }
  Span& span() const { return (*spans)[next]; }
};

constexpr std::size_t kStreams = 3;  // compute, communication, messages

struct Rank {
  std::array<Queue, kStreams> queues{};
  double now = 0;
  double due = kNever;  // when something ends next, if nobody else changes it
  unsigned version = 0;

  bool both() const { return queues[0].at_work && (queues[1].at_work || queues[2].at_work); }
};

// Of a joint operation under way.
struct Progress {
  int came = 0, done = 0;
};

class Replay {
 public:
  Replay(const std::vector<StageItems>& stages, const std::vector<Joint>& joints,
         const Slowdowns& slowdowns)
      : joints_(joints),
        slower_{slowdowns.compute, slowdowns.communication, slowdowns.communication},
        spans_(stages.size()),
        delay_(slowdowns.delay),
        ranks_(stages.size()),
        progress_(joints.size()),
        arrived_(joints.size()),
        posted_(joints.size()) {
    for (std::size_t s = 0; s < stages.size(); ++s) {
      spans_[s].compute.resize(stages[s].compute.size());
      spans_[s].communication.resize(stages[s].communication.size());
      ranks_[s].queues[0].items = &stages[s].compute;
      ranks_[s].queues[0].spans = &spans_[s].compute;
      ranks_[s].queues[1].items = &stages[s].communication;
      ranks_[s].queues[1].spans = &spans_[s].communication;
      spans_[s].messages.resize(stages[s].messages.size());
      ranks_[s].queues[2].items = &stages[s].messages;
      ranks_[s].queues[2].spans = &spans_[s].messages;
    }
  }

  std::vector<StageSpans> run() {
    for (std::size_t s = 0; s < ranks_.size(); ++s)
      proceed(static_cast<int>(s));
    while (!events_.empty()) {
      const Due next = events_.top();
      events_.pop();
      if (at(next.stage).version == next.version) work_alone(next.stage);
    }
    for (const Rank& r : ranks_) {
      for (const Queue& q : r.queues)
        expect(q.empty(), "a recording in which the streams wait for each other");
    }
    return std::move(spans_);
  }

 private:
  struct Due {
    double time;
    int stage;
    unsigned version;
    bool operator>(const Due& other) const { return time > other.time; }
  };

  Rank& at(int stage) { return ranks_[static_cast<std::size_t>(stage)]; }

  // As long as no other rank has anything before it.
  void work_alone(int stage) {
    Rank& r = at(stage);
    do {
      advance(r, r.due);
      finish_next(stage);
      start(stage);
      r.due = next_end(r);
    } while (r.due < kNever && (events_.empty() || r.due <= events_.top().time));
    note(stage);
  }

  // Something has changed for it: starts what can start, and notes what ends next.
  void proceed(int stage) {
    start(stage);
    at(stage).due = next_end(at(stage));
    note(stage);
  }
  void note(int stage) {
    Rank& r = at(stage);
    ++r.version;
    if (r.due < kNever) events_.push({r.due, stage, r.version});
  }

  void start(int stage) {
    Rank& r = at(stage);
    for (std::size_t s = 0; s < kStreams; ++s) {
      Queue& q = r.queues[s];
      if (q.at_work || q.came || q.empty()) continue;
      const ReplayItem& item = q.front();
      const Queue& other = r.queues[s == 0 ? 1 : 0];
      if (item.after >= 0 && other.next <= static_cast<std::size_t>(item.after)) continue;
      if (item.needs >= 0 && !arrived_[static_cast<std::size_t>(item.needs)]) continue;
      if (s == 2 && awaits_receiver(item.joint)) continue;
      if (item.joint >= 0 && s == 1) {
        come(stage, q);
      } else {
        begin(r, q, item.seconds);
        if (s == 1) wait_to_begin(r);
      }
    }
    begin_waiting(r);
  }
  bool awaits_receiver(int message) const {
    const auto number = static_cast<std::size_t>(message);
    return joints_[number].awaited && !posted_[number];
  }
  void wait_to_begin(Rank& r) const {
    Queue& q = r.queues[1];
    const int after = q.front().after;
    const double launched =
        after < 0 ? 0 : (*r.queues[0].spans)[static_cast<std::size_t>(after)].end;
    q.until = std::max(r.now, launched + q.front().late);
    q.begins = q.until + delay_;
    q.at_work = false;
    q.came = true;
  }
  // Where the kernels leave the core there is no delay.
  static void begin_waiting(Rank& r) {
    Queue& q = r.queues[1];
    if (!r.queues[0].at_work) q.begins = q.until;
    if (q.begins > r.now) return;
    q.at_work = true;
    q.until = q.begins = kNever;
  }
  static void begin(const Rank& r, Queue& q, double seconds) {
    q.at_work = true;
    q.left = seconds;
    q.span().begin = r.now;
  }

  // To a joint operation: where it is the last, all begin.
  void come(int stage, Queue& q) {
    q.came = true;
    const auto number = static_cast<std::size_t>(q.front().joint);
    const Joint& joint = joints_[number];
    Progress& p = progress_[number];
    ++p.came;
    const bool sends_at_once = joint.eager && joint.stages.front() == stage;
    if (sends_at_once) begin(at(stage), q, q.front().seconds);
    if (joint.eager && p.came == 2) return begin_receiver(joint, stage);
    if (joint.eager || p.came < static_cast<int>(joint.stages.size())) return;
    for (const int other : joint.stages) {
      Rank& r = at(other);
      if (other != stage) advance(r, at(stage).now);
      begin(r, r.queues[1], r.queues[1].front().seconds);
      if (other != stage) proceed(other);
    }
  }

  // Of an eager message, with what is still to come of it.
  void begin_receiver(const Joint& joint, int comes_now) {
    const double now = at(comes_now).now;
    const Rank& from = at(joint.stages[0]);
    Rank& to = at(joint.stages[1]);
    const Queue& sending = from.queues[1];
    double left = 0;
    if (sending.at_work &&
        &joints_[static_cast<std::size_t>(std::max(sending.front().joint, 0))] == &joint) {
      const double passed = (now - from.now) / (from.both() ? slower_[1] : 1);
      left = std::max(0.0, sending.left - passed);
    }
    if (joint.stages[1] != comes_now) advance(to, now);
    begin(to, to.queues[1], left);
    if (joint.stages[1] != comes_now) proceed(joint.stages[1]);
  }

  void advance(Rank& r, double to) const {
    const double step = to - r.now;
    const bool both = r.both();
    for (std::size_t s = 0; s < kStreams; ++s) {
      Queue& q = r.queues[s];
      if (q.at_work) q.left = std::max(0.0, q.left - step / (both ? slower_[s] : 1));
    }
    r.now = to;
  }

  double next_end(const Rank& r) const {
    const bool both = r.both();
    double due = kNever;
    for (std::size_t s = 0; s < kStreams; ++s) {
      const Queue& q = r.queues[s];
      if (q.at_work) due = std::min(due, r.now + q.left * (both ? slower_[s] : 1));
    }
    return std::min(due, r.queues[1].begins);
  }

  // The stream that has least left has come to the end of its item.
  void finish_next(int stage) {
    Rank& r = at(stage);
    if (r.queues[1].begins <= r.now) return;  // nothing has: communication begins
    const bool both = r.both();
    const auto needs = [&](std::size_t s) {
      return r.queues[s].at_work ? r.queues[s].left * (both ? slower_[s] : 1) : kNever;
    };
    std::size_t next = needs(1) < needs(0) ? 1 : 0;
    if (needs(2) < needs(next)) next = 2;
    Queue& q = r.queues[next];
    const int joint = q.front().joint, posts = q.front().posts;
    if (next == 2) return arrive(r, q, joint);
    if (posts >= 0) return post(r, q, posts);
    if (joint < 0 || joints_[static_cast<std::size_t>(joint)].eager) return finish(r, q);
    q.at_work = false;
    q.done = true;
    const Joint& all = joints_[static_cast<std::size_t>(joint)];
    Progress& p = progress_[static_cast<std::size_t>(joint)];
    if (++p.done < static_cast<int>(all.stages.size())) return;
    for (const int other : all.stages) {
      Rank& o = at(other);
      if (other != stage) advance(o, r.now);
      finish(o, o.queues[1]);
      if (other != stage) proceed(other);
    }
  }
  void arrive(const Rank& r, Queue& q, int joint) {
    finish(r, q);
    arrived_[static_cast<std::size_t>(joint)] = true;
    const int to = joints_[static_cast<std::size_t>(joint)].stages[1];
    advance(at(to), r.now);
    proceed(to);
  }
  void post(const Rank& r, Queue& q, int message) {
    finish(r, q);
    posted_[static_cast<std::size_t>(message)] = true;
    const int from = joints_[static_cast<std::size_t>(message)].stages[0];
    advance(at(from), r.now);
    proceed(from);
  }
  static void finish(const Rank& r, Queue& q) {
    q.span().end = r.now;
    q.at_work = q.came = q.done = false;
    ++q.next;
  }

  const std::vector<Joint>& joints_;
  std::array<double, kStreams> slower_;
  std::vector<StageSpans> spans_;
  double delay_;
  std::vector<Rank> ranks_;
  std::vector<Progress> progress_;
  std::vector<char> arrived_, posted_;  // of messages apart
  std::priority_queue<Due, std::vector<Due>, std::greater<>> events_;
};

}  // namespace

bool shares_cores(const Machine& machine) {
  return machine.device == "cpu" &&
         machine.threads_per_device * machine.devices_per_node >= machine.cores_per_node;
}

Slowdowns slowdowns_of(const Machine& machine) {
  const bool shared = shares_cores(machine);
  const auto factor = [&](const Figure& f) { return f.known() ? f.value : shared ? 2 : 1; };
  Slowdowns s{factor(machine.overlap.compute_slowdown),
              factor(machine.overlap.communication_slowdown), machine.overlap.delay.value};
  constexpr double kLeast = 1.05;  // nearer to 1 the kernels would stand still
  if (shared) {
    s.communication = std::max(s.communication, kLeast);
    s.compute = std::max(s.compute, s.communication / (s.communication - 1));
  }
  return s;
}

std::vector<StageSpans> replay(const std::vector<StageItems>& stages,
                               const std::vector<Joint>& joints, const Slowdowns& slowdowns) {
  return Replay(stages, joints, slowdowns).run();
}

}  // namespace lockstep
