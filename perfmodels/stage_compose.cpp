// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/stage_compose.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "perfmodels/exchanges.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

using After = StretchItem::After;

bool is_send(ActionKind kind) {
  return kind == ActionKind::send_activation || kind == ActionKind::send_gradient;
}

// The message that a pass takes.
ActionKind received_for(ActionKind pass) {
  return pass == ActionKind::forward ? ActionKind::receive_activation
                                     : ActionKind::receive_gradient;
}

// What a stage has that others wait for, in its order.
struct Meetings {
  // By (from, to, kind of the send): items, or of messages apart actions.
  std::map<std::tuple<int, int, int>, std::vector<int>> sent{}, received{};
  std::map<std::string, std::vector<int>> collectives{};  // by group
};

double bytes_of(const Operation& o) {
  return static_cast<double>(o.shape[0]) * static_cast<double>(size_of(o.dtype));
}

// Messages of one size between two stages cost the same each time.
class MessageTimes {
 public:
  MessageTimes(const Machine& machine, const StepRecord& record)
      : machine_(machine), degrees_(record.degrees), kind_(record.messages) {}

  const MessageTime& of(int from, int to, double bytes) {
    const std::tuple key{from, to, bytes};
    const auto known = known_.find(key);
    if (known != known_.end()) return known->second;
    const MessagePlace place = place_of(from, to);
    return known_.emplace(key, message_time(machine_, bytes, place, kind_)).first->second;
  }

  bool across(int from, int to) const { return place_of(from, to).across; }

 private:
  MessagePlace place_of(int from, int to) const {
    return message_place(from, to, degrees_, machine_.devices_per_node);
  }

  const Machine& machine_;
  MeshDegrees degrees_;
  MessageKind kind_;
  std::map<std::tuple<int, int, double>, MessageTime> known_;
};

class Composer {
 public:
  Composer(ComposedStage& into, Meetings& meetings, const StageSegments& role, int stage,
           const PipelineShape& shape, MessageTimes& messages, bool apart)
      : into_(into),
        meetings_(meetings),
        role_(role),
        stage_(stage),
        shape_(shape),
        messages_(messages),
        apart_(apart) {}

  void compose(const std::vector<Action>& actions) {
    append(role_.before(), -1);
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const Action& a = actions[i];
      is_compute(a.kind) ? append_pass(a, weights_at_once(actions, i)) : append_message(a);
    }
    append(role_.behind(), -1);
  }

  // With messages that are awaited between rounds of passes.
  void compose(const std::vector<Action>& actions, const std::vector<Round>& rounds) {
    append(role_.before(), -1);
    for (const Round& round : rounds) {
      for (const std::size_t i : round.passes)
        append_pass(actions[i], weights_at_once(actions, i));
      for (const std::vector<Action>& exchange : round.exchanges)
        append_exchange(exchange);
    }
    append(role_.behind(), -1);
  }

 private:
  void append_pass(const Action& a, bool at_once) {
    ActionItems items{.action = a, .first = static_cast<int>(into_.items.compute.size())};
    const auto message = received_.find({received_for(a.kind), a.micro_batch, a.chunk});
    append(role_.pass(a, at_once), message == received_.end() ? -1 : message->second);
    items.end = static_cast<int>(into_.items.compute.size());
    into_.actions.push_back(items);
  }

  void append(const Stretch& stretch, int message) {
    into_.kernels += stretch.kernels;
    for (const StretchItem& item : stretch.items) {
      if (item.stream == StreamKind::compute) {
        append_kernels(item, std::exchange(message, -1));
      } else {
        append_communication(item);
      }
    }
  }

  // A group over stages is no lane's but the world's.
  static void set_lane(ReplayItem& item, const StretchItem& of) {
    item.lane = of.joint || of.lane == Lane::pipeline ? Lane::world : of.lane;
    item.path = path_of(*of.operation);
  }

  // The first kernels of a pass wait for its message.
  void append_kernels(const StretchItem& item, int message) {
    int after = apart_ ? -1 : message;
    if (apart_ && message >= 0)
      into_.waiting.emplace_back(message, static_cast<int>(into_.items.compute.size()));
    if (!apart_ && item.after == After::messages) after = std::max(after, last_message_);
    if (item.after == After::collective && item.back <= static_cast<int>(collectives_.size()))
      after =
          std::max(after, collectives_[collectives_.size() - static_cast<std::size_t>(item.back)]);
    into_.items.compute.push_back({item.seconds.value, after});
    into_.compute.push_back(item.seconds);
  }

  void append_communication(const StretchItem& item) {
    const int place = add(item.seconds, item.operation);
    if (apart_) set_lane(into_.items.communication.back(), item);
    if (item.after == After::nothing) into_.items.communication.back().after = -1;
    collectives_.push_back(place);
    if (item.joint) meetings_.collectives[item.operation->group->name].push_back(place);
  }

  void append_message(const Action& a) {
    const Operation& recorded = role_.message(a.kind, a.chunk);
    const int other = other_end({stage_, a}, shape_).stage;
    const bool sends = is_send(a.kind);
    const std::pair ends = sends ? std::pair{stage_, other} : std::pair{other, stage_};
    const Figure& seconds = messages_.of(ends.first, ends.second, bytes_of(recorded)).seconds;
    const Path path = messages_.across(ends.first, ends.second) ? Path::across : Path::inside;
    const int place = apart_ ? add_apart(seconds, sends, path) : add(seconds, &recorded);
    // Apart, activations and gradients are matched each for themselves.
    const bool activation =
        a.kind == ActionKind::send_activation || a.kind == ActionKind::receive_activation;
    const std::tuple key{ends.first, ends.second, apart_ && activation ? 1 : 0};
    (sends ? meetings_.sent : meetings_.received)[key].push_back(place);
    if (!sends) received_[{a.kind, a.micro_batch, a.chunk}] = place;
    last_message_ = place;
    into_.actions.push_back({.action = a, .message = place});
  }

  // Receivers say that they are there; then each message is waited for.
  void append_exchange(const std::vector<Action>& messages) {
    for (const Action& a : messages) {
      if (!is_send(a.kind))
        into_.posting.emplace_back(static_cast<int>(into_.actions.size()), append_mark());
      append_message(a);
    }
    const std::size_t first = into_.actions.size() - messages.size();
    for (std::size_t i = first; i < into_.actions.size(); ++i) {
      const ActionItems& m = into_.actions[i];
      is_send(m.action.kind) ? into_.sending.emplace_back(m.message, append_mark())
                             : into_.waiting.emplace_back(static_cast<int>(i), append_mark());
    }
  }
  // An item without seconds.
  int append_mark() {
    into_.items.compute.emplace_back();
    into_.compute.emplace_back();
    return static_cast<int>(into_.compute.size()) - 1;
  }

  // An item of the sender; of the receiver the number of its action.
  int add_apart(const Figure& seconds, bool sends, Path path) {
    if (!sends) return static_cast<int>(into_.actions.size());
    const int kernels = static_cast<int>(into_.items.compute.size());
    into_.items.messages.push_back({.seconds = seconds.value, .after = kernels - 1, .path = path});
    into_.messages.push_back(seconds);
    return static_cast<int>(into_.items.messages.size()) - 1;
  }

  int add(const Figure& seconds, const Operation* operation) {
    const int kernels = static_cast<int>(into_.items.compute.size());
    into_.items.communication.push_back({seconds.value, kernels - 1});
    into_.communication.push_back(seconds);
    into_.operations.push_back(operation);
    return static_cast<int>(into_.items.communication.size()) - 1;
  }

  ComposedStage& into_;
  Meetings& meetings_;
  const StageSegments& role_;
  int stage_;
  PipelineShape shape_;
  MessageTimes& messages_;
  bool apart_;
  std::vector<int> collectives_;  // items that are no message
  std::map<std::tuple<ActionKind, int, int>, int> received_;
  int last_message_ = -1;
};

class Joiner {
 public:
  Joiner(ComposedStep& step, std::vector<Meetings>& meetings, bool awaited)
      : step_(step), meetings_(meetings), awaited_(awaited) {}

  void join(MessageTimes& messages) {
    for (std::size_t from = 0; from < meetings_.size(); ++from) {
      for (const auto& [ends, items] : meetings_[from].sent)
        join_messages(ends, items, messages);
    }
    if (step_.apart) set_needs();
    join_collectives();
  }

 private:
  void join_messages(const std::tuple<int, int, int>& ends, const std::vector<int>& sent,
                     MessageTimes& messages) {
    const auto [from, to, kind] = ends;
    const std::vector<int>& received = meetings_[static_cast<std::size_t>(to)].received[ends];
    expect(sent.size() == received.size(), "a message without its other end");
    for (std::size_t k = 0; k < sent.size(); ++k) {
      step_.apart ? join_apart(from, to, sent[k], received[k])
                  : join_message(from, to, sent[k], received[k], messages);
    }
  }

  void join_message(int from, int to, int sent, int received, MessageTimes& messages) {
    const Operation& o = *stage(from).operations[static_cast<std::size_t>(sent)];
    const bool eager = messages.of(from, to, bytes_of(o)).eager;
    item(from, sent).joint = item(to, received).joint = static_cast<int>(step_.joints.size());
    step_.joints.push_back({{from, to}, eager});
  }

  void join_apart(int from, int to, int sent, int received) {
    const int number = static_cast<int>(step_.joints.size());
    stage(from).items.messages[static_cast<std::size_t>(sent)].joint = number;
    stage(to).actions[static_cast<std::size_t>(received)].message = number;
    step_.joints.push_back({{from, to}, true, true, awaited_});
    step_.places.resize(step_.joints.size());
    step_.places.back() = sent;
  }

  // Kernels that wait for messages apart, once these have their numbers.
  void set_needs() {
    for (ComposedStage& s : step_.stages) {
      const auto item = [&](int kernels) -> ReplayItem& {
        return s.items.compute[static_cast<std::size_t>(kernels)];
      };
      const auto received = [&](int action) {
        return s.actions[static_cast<std::size_t>(action)].message;
      };
      for (const auto& [action, kernels] : s.waiting)
        item(kernels).needs = received(action);
      for (const auto& [action, kernels] : s.posting)
        item(kernels).posts = received(action);
      for (const auto& [sent, kernels] : s.sending)
        item(kernels).needs = s.items.messages[static_cast<std::size_t>(sent)].joint;
    }
  }

  ComposedStage& stage(int number) { return step_.stages[static_cast<std::size_t>(number)]; }

  void join_collectives() {
    std::map<std::pair<std::string, std::size_t>, std::vector<std::pair<int, int>>> calls;
    for (std::size_t s = 0; s < meetings_.size(); ++s) {
      for (const auto& [group, items] : meetings_[s].collectives) {
        for (std::size_t k = 0; k < items.size(); ++k)
          calls[{group, k}].emplace_back(static_cast<int>(s), items[k]);
      }
    }
    for (const auto& [call, ends] : calls) {
      Joint joint;
      for (const auto& [stage, place] : ends) {
        item(stage, place).joint = static_cast<int>(step_.joints.size());
        joint.stages.push_back(stage);
      }
      step_.joints.push_back(std::move(joint));
    }
  }

  ReplayItem& item(int stage, int place) {
    return step_.stages[static_cast<std::size_t>(stage)]
        .items.communication[static_cast<std::size_t>(place)];
  }

  ComposedStep& step_;
  std::vector<Meetings>& meetings_;
  bool awaited_;
};

}  // namespace

ComposedStep compose(const StepRecord& record, const std::vector<StageSegments>& roles,
                     const Machine& machine) {
  const PipelineSchedule& schedule = record.schedule;
  const auto P = static_cast<std::size_t>(schedule.shape.stages);
  ComposedStep step;
  step.stages.resize(P);
  const bool awaited = record.messages.awaited;
  step.apart = awaited || communicates_apart(machine);
  std::vector<Meetings> meetings(P);
  MessageTimes messages(machine, record);
  for (std::size_t s = 0; s < P; ++s) {
    const StageSegments& role = roles[static_cast<std::size_t>(record.role_of[s])];
    const int stage = static_cast<int>(s);
    Composer composer(step.stages[s], meetings[s], role, stage, schedule.shape, messages,
                      step.apart);
    awaited ? composer.compose(schedule.stages[s], rounds_of(schedule, stage))
            : composer.compose(schedule.stages[s]);
  }
  Joiner(step, meetings, awaited).join(messages);
  return step;
}

}  // namespace lockstep
