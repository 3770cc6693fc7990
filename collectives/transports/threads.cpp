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
#include "runtime/base/clock.hpp"

namespace lockstep {

namespace {

struct Message {
  std::uint64_t fingerprint = 0;  // of the operation that it belongs to
  std::vector<std::byte> bytes;
};
constexpr double kSplitSeconds = 60, kLookSeconds = 0.25;

using TimePoint = std::chrono::system_clock::time_point;

TimePoint time_point(double deadline) {
  const std::chrono::duration<double> left(deadline - now());
  return std::chrono::system_clock::now() + std::chrono::duration_cast<TimePoint::duration>(left);
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
  bool take(int from, Message& message, double deadline) {
    std::unique_lock lock(mutex_);
    auto& queue = from_[static_cast<std::size_t>(from)];
    if (!arrived_.wait_until(lock, time_point(deadline), [&] { return !queue.empty(); })) {
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
  Seat split(int rank, int color, int key) {
    std::unique_lock lock(mutex_);
    wishes_.push_back({color, key, rank});
    if (wishes_.size() == boxes_.size()) {
      seat_all();
      seated_.notify_all();
    }
    if (!seated_.wait_until(lock, time_point(now() + kSplitSeconds),
                            [&] { return seats_[index(rank)].group != nullptr; })) {
      throw_timeout("splitting a group of " + std::to_string(size()) + " ranks");
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
  ThreadTransport(std::shared_ptr<Group> group, int rank) : group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return group_->size(); }
  void begin(const Call& call, const Deadline& deadline) override {
    deadline_ = deadline;
    fingerprint_ = call.fingerprint();
  }

  std::unique_ptr<Transport> split(int color, int key) override {
    Group::Seat seat = group_->split(rank_, color, key);
    return std::make_unique<ThreadTransport>(std::move(seat.group), seat.rank);
  }

 protected:
  void start_send(Ticket, const Elements& data, int to) override {
    group_->box(to).put(rank_, {fingerprint_, {data.data, data.data + data.bytes()}});
  }
  void start_receive(Ticket ticket, const Elements& data, int from) override {
    receives_.push_back({ticket, data, from, fingerprint_});
  }
  void finish(Ticket up_to) override {
    while (!receives_.empty() && receives_.front().ticket <= up_to) {
      const Receive receive = receives_.front();
      receives_.pop_front();
      const Message message = take(receive);
      if (message.fingerprint != receive.fingerprint) throw_disagreement(receive.from);
      expect_message(message.bytes.size(), receive.data.bytes(), receive.from);
      std::memcpy(receive.data.data, message.bytes.data(), message.bytes.size());
    }
  }

 private:
  struct Receive {
    Ticket ticket;
    Elements data;
    int from;
    std::uint64_t fingerprint;
  };

  Message take(const Receive& receive) {
    Message message;
    for (;;) {
      const double look_at = std::min(deadline_.at, now() + kLookSeconds);
      if (group_->box(rank_).take(receive.from, message, look_at)) return message;
      if (now() >= deadline_.at) throw_timeout(receiving(receive.data.bytes(), receive.from));
      if (deadline_.watch) deadline_.watch->look();
    }
  }

  std::shared_ptr<Group> group_;
  int rank_;
  Deadline deadline_{now() + kSplitSeconds};
  std::uint64_t fingerprint_ = 0;
  std::deque<Receive> receives_;
};

}  // namespace

std::vector<std::unique_ptr<Transport>> make_thread_transports(int ranks) {
  auto group = std::make_shared<Group>(ranks);
  std::vector<std::unique_ptr<Transport>> transports;
  transports.reserve(static_cast<std::size_t>(ranks));
  for (int r = 0; r < ranks; ++r) {
    transports.push_back(std::make_unique<ThreadTransport>(group, r));
  }
  return transports;
}

}  // namespace lockstep
