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
  std::vector<int> own{};  // places of its items, where other lanes have the rest
  bool divided = false;
  std::size_t next = 0;
  double left = 0;  // of the item at work, as if alone
  bool at_work = false;
  bool came = false;                       // to the joint operation at its head, or waits to begin
  bool done = false;                       // with its share of that
  double until = kNever, begins = kNever;  // of one that waits: the last rank, then a core

  bool empty() const { return next == (divided ? own.size() : items->size()); }
  std::size_t place() const { return divided ? static_cast<std::size_t>(own[next]) : next; }
  const ReplayItem& front() const { return (*items)[place()]; }
  Span& span() const { return (*spans)[place()]; }
};

constexpr std::size_t kStreams = 1 + kNumLanes;
constexpr std::size_t kCompute = 0, kWorld = place_of(StreamKind::communication, Lane::world),
                      kMessages = place_of(StreamKind::communication, Lane::pipeline);

struct Rank {
  std::array<Queue, kStreams> queues{};
  std::vector<int> turns{};  // of each communication item in its lane, where these are several
  double now = 0;
  double due = kNever;  // when something ends next, if nobody else changes it
  unsigned version = 0;

  bool communicates() const {
    bool any = false;
    for (std::size_t s = kWorld; s < kStreams; ++s)
      any = any || queues[s].at_work;
    return any;
  }
  bool has_ended(int communication) const {
    const auto item = static_cast<std::size_t>(communication);
    if (turns.empty()) return queues[kWorld].next > item;
    const Lane lane = (*queues[kWorld].items)[item].lane;
    const auto turn = static_cast<std::size_t>(turns[item]);
    return queues[place_of(StreamKind::communication, lane)].next > turn;
  }
};

// Factors on the time of each stream.
using Paces = std::array<double, kStreams>;

// Of a joint operation under way.
struct Progress {
  int came = 0, done = 0;
};

class Replay {
 public:
  Replay(const std::vector<StageItems>& stages, const std::vector<Joint>& joints,
         const Slowdowns& slowdowns)
      : joints_(joints),
        slower_(slowdowns),
        spans_(stages.size()),
        delay_(slowdowns.delay),
        ranks_(stages.size()),
        progress_(joints.size()),
        arrived_(joints.size()),
        posted_(joints.size()) {
    for (std::size_t s = 0; s < stages.size(); ++s) {
      spans_[s].compute.resize(stages[s].compute.size());
      spans_[s].communication.resize(stages[s].communication.size());
      spans_[s].messages.resize(stages[s].messages.size());
      for (Queue& lane : ranks_[s].queues) {
        lane.items = &stages[s].communication;
        lane.spans = &spans_[s].communication;
      }
      ranks_[s].queues[kCompute].items = &stages[s].compute;
      ranks_[s].queues[kCompute].spans = &spans_[s].compute;
      ranks_[s].queues[kMessages].items = &stages[s].messages;
      ranks_[s].queues[kMessages].spans = &spans_[s].messages;
      divide(ranks_[s], stages[s].communication);
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

  // Lanes of their own; all in that of the world is one queue.
  static void divide(Rank& rank, const std::vector<ReplayItem>& items) {
    const auto apart = [](const ReplayItem& i) { return i.lane != Lane::world; };
    const bool several = std::any_of(items.begin(), items.end(), apart);
    for (std::size_t s = kWorld; s < kMessages; ++s)
      rank.queues[s].divided = several || s > kWorld;
    for (std::size_t i = 0; several && i < items.size(); ++i) {
      expect(items[i].lane != Lane::pipeline, "the lane of the pipeline is that of its messages");
      Queue& lane = rank.queues[place_of(StreamKind::communication, items[i].lane)];
      rank.turns.push_back(static_cast<int>(lane.own.size()));
      lane.own.push_back(static_cast<int>(i));
    }
  }

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
      if (item.after >= 0 && !is_past(r, s, item.after)) continue;
      if (item.needs >= 0 && !arrived_[static_cast<std::size_t>(item.needs)]) continue;
      if (s == kMessages && awaits_receiver(item.joint)) continue;
      if (item.joint >= 0 && s != kMessages) {
        come(stage, q);
      } else {
        begin(r, q, item.seconds);
        if (s != kCompute && s != kMessages) wait_to_begin(r, q);
      }
    }
    for (std::size_t s = kWorld; s < kMessages; ++s)
      begin_waiting(r, r.queues[s]);
  }
  static bool is_past(const Rank& r, std::size_t stream, int after) {
    if (stream == kCompute) return r.has_ended(after);
    return r.queues[kCompute].next > static_cast<std::size_t>(after);
  }
  bool awaits_receiver(int message) const {
    const auto number = static_cast<std::size_t>(message);
    return joints_[number].awaited && !posted_[number];
  }
  void wait_to_begin(const Rank& r, Queue& q) const {
    const int after = q.front().after;
    const double launched =
        after < 0 ? 0 : (*r.queues[0].spans)[static_cast<std::size_t>(after)].end;
    q.until = std::max(r.now, launched + q.front().late);
    q.begins = q.until + delay_;
    q.at_work = false;
    q.came = true;
  }
  // Where the kernels leave the core there is no delay.
  static void begin_waiting(const Rank& r, Queue& q) {
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
      begin(r, r.queues[kWorld], r.queues[kWorld].front().seconds);
      if (other != stage) proceed(other);
    }
  }

  // Of an eager message, with what is still to come of it.
  void begin_receiver(const Joint& joint, int comes_now) {
    const double now = at(comes_now).now;
    const Rank& from = at(joint.stages[0]);
    Rank& to = at(joint.stages[1]);
    const Queue& sending = from.queues[kWorld];
    double left = 0;
    if (sending.at_work &&
        &joints_[static_cast<std::size_t>(std::max(sending.front().joint, 0))] == &joint) {
      const double passed = (now - from.now) / paces_of(from)[kWorld];
      left = std::max(0.0, sending.left - passed);
    }
    if (joint.stages[1] != comes_now) advance(to, now);
    begin(to, to.queues[kWorld], left);
    if (joint.stages[1] != comes_now) proceed(joint.stages[1]);
  }

  // Lanes at work on the same links share their rate.
  Paces paces_of(const Rank& r) const {
    Paces paces;
    paces.fill(1);
    std::array<int, 3> senders{};  // by path
    for (std::size_t s = kWorld; s < kStreams; ++s) {
      if (r.queues[s].at_work) ++senders[static_cast<std::size_t>(r.queues[s].front().path)];
    }
    senders[static_cast<std::size_t>(Path::none)] = 1;
    const bool computes = r.queues[kCompute].at_work;
    if (computes && r.communicates()) paces[kCompute] = slower_.compute;
    for (std::size_t s = kWorld; s < kStreams; ++s) {
      if (!r.queues[s].at_work) continue;
      paces[s] = (computes ? slower_.communication : 1) *
                 senders[static_cast<std::size_t>(r.queues[s].front().path)];
    }
    return paces;
  }

  void advance(Rank& r, double to) const {
    const double step = to - r.now;
    const Paces paces = paces_of(r);
    for (std::size_t s = 0; s < kStreams; ++s) {
      Queue& q = r.queues[s];
      if (q.at_work) q.left = std::max(0.0, q.left - step / paces[s]);
    }
    r.now = to;
  }

  double next_end(const Rank& r) const {
    const Paces paces = paces_of(r);
    double due = kNever;
    for (std::size_t s = 0; s < kStreams; ++s) {
      const Queue& q = r.queues[s];
      if (q.at_work) due = std::min(due, r.now + q.left * paces[s]);
      due = std::min(due, q.begins);
    }
    return due;
  }

  // The stream that has least left has come to the end of its item.
  void finish_next(int stage) {
    Rank& r = at(stage);
    for (const Queue& q : r.queues) {
      if (q.begins <= r.now) return;  // nothing has: communication begins
    }
    const Paces paces = paces_of(r);
    const auto needs = [&](std::size_t s) {
      return r.queues[s].at_work ? r.queues[s].left * paces[s] : kNever;
    };
    std::size_t next = kCompute;
    for (std::size_t s = kWorld; s < kStreams; ++s) {
      if (needs(s) < needs(next)) next = s;
    }
    Queue& q = r.queues[next];
    const int joint = q.front().joint, posts = q.front().posts;
    if (next == kMessages) return arrive(r, q, joint);
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
      finish(o, o.queues[kWorld]);
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
  Slowdowns slower_;
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

bool communicates_apart(const Machine& machine) {
  return machine.device == "cuda";
}

Path path_of(const Operation& operation) {
  const OperationGroup* group = operation.group;
  if (!group || group->ranks == 1) return Path::none;
  return group->nodes > 1 ? Path::across : Path::inside;
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
