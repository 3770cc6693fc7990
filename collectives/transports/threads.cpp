// SPDX-License-Identifier: Apache-2.0
#include "collectives/transports/threads.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>

#include "collectives/wait_errors.hpp"

namespace lockstep {

namespace {

using Message = std::vector<std::byte>;
using TimePoint = std::chrono::system_clock::time_point;

TimePoint deadline_after(double seconds) {
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<TimePoint::duration>(std::chrono::duration<double>(seconds));
}

class Mailbox {
 public:
  explicit Mailbox(int senders) : from_(static_cast<std::size_t>(senders)) {}

  void put(int from, Message message) {
    {
      std::lock_guard lock(mutex_);
      from_[static_cast<std::size_t>(from)].push_back(std::move(message));
    }
    arrived_.notify_one();
  }

  // False when nothing came in time.
  bool take(int from, Message& message, double timeout_seconds) {
    std::unique_lock lock(mutex_);
    auto& queue = from_[static_cast<std::size_t>(from)];
    if (!arrived_.wait_until(lock, deadline_after(timeout_seconds),
                             [&] { return !queue.empty(); })) {
      return false;
    }
    message = std::move(queue.front());
    queue.pop_front();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::deque<Message>> from_;
};

// What the ranks of one group share.
class Group {
 public:
  explicit Group(int ranks) : seats_(index(ranks)) {
    for (int r = 0; r < ranks; ++r)
      boxes_.push_back(std::make_unique<Mailbox>(ranks));
  }

  int size() const { return static_cast<int>(boxes_.size()); }
  Mailbox& box(int rank) { return *boxes_[static_cast<std::size_t>(rank)]; }

  struct Seat {
    std::shared_ptr<Group> group;
    int rank = 0;
  };

  // Every rank calls it; the last to come seats all, the others wait for their seat.
  Seat split(int rank, int color, int key, double timeout_seconds) {
    std::unique_lock lock(mutex_);
    wishes_.push_back({color, key, rank});
    if (wishes_.size() == boxes_.size()) {
      seat_all();
      seated_.notify_all();
    }
    if (!seated_.wait_until(lock, deadline_after(timeout_seconds),
                            [&] { return seats_[index(rank)].group != nullptr; })) {
      throw_timeout("splitting a group of " + std::to_string(size()) + " ranks", timeout_seconds);
    }
    return std::exchange(seats_[index(rank)], {});
  }

 private:
  struct Wish {
    int color, key, rank;
    bool operator<(const Wish& o) const {
      return std::tie(color, key, rank) < std::tie(o.color, o.key, o.rank);
    }
  };

  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }

  void seat_all() {
    std::sort(wishes_.begin(), wishes_.end());
    for (auto begin = wishes_.begin(); begin != wishes_.end();) {
      const auto end = std::find_if(begin, wishes_.end(),
                                    [&](const Wish& w) { return w.color != begin->color; });
      auto group = std::make_shared<Group>(static_cast<int>(end - begin));
      for (auto w = begin; w != end; ++w) {
        seats_[index(w->rank)] = {group, static_cast<int>(w - begin)};
      }
      begin = end;
    }
    wishes_.clear();
  }

  std::vector<std::unique_ptr<Mailbox>> boxes_;
  std::mutex mutex_;
  std::condition_variable seated_;
  std::vector<Wish> wishes_;
  std::vector<Seat> seats_;  // by rank of this group
};

class ThreadTransport : public Transport {
 public:
  ThreadTransport(std::shared_ptr<Group> group, int rank, double timeout_seconds)
      : group_(std::move(group)), rank_(rank), timeout_(timeout_seconds) {}

  int rank() const override { return rank_; }
  int size() const override { return group_->size(); }

  void send(const Elements& data, int to) override {
    if (data.bytes() > 0) group_->box(to).put(rank_, Message(data.data, data.data + data.bytes()));
  }

  void receive(const Elements& data, int from) override {
    if (data.bytes() == 0) return;
    Message message;
    if (!group_->box(rank_).take(from, message, timeout_)) {
      throw_timeout(receiving(data.bytes(), from), timeout_);
    }
    expect_message(message.size(), data.bytes(), from);
    std::memcpy(data.data, message.data(), message.size());
  }

  void exchange(const Elements& out, int to, const Elements& in, int from) override {
    send(out, to);
    receive(in, from);
  }

  std::unique_ptr<Transport> split(int color, int key) override {
    Group::Seat seat = group_->split(rank_, color, key, timeout_);
    return std::make_unique<ThreadTransport>(std::move(seat.group), seat.rank, timeout_);
  }

 private:
  std::shared_ptr<Group> group_;
  int rank_;
  double timeout_;
};

}  // namespace

std::vector<std::unique_ptr<Transport>> make_thread_transports(int ranks, double timeout_seconds) {
  auto group = std::make_shared<Group>(ranks);
  std::vector<std::unique_ptr<Transport>> transports;
  transports.reserve(static_cast<std::size_t>(ranks));
  for (int r = 0; r < ranks; ++r) {
    transports.push_back(std::make_unique<ThreadTransport>(group, r, timeout_seconds));
  }
  return transports;
}

}  // namespace lockstep
