// SPDX-License-Identifier: Apache-2.0
#include "collectives/transports/threads.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "collectives/copy_bytes.hpp"
#include "collectives/transports/shared.hpp"
#include "collectives/wait_errors.hpp"

namespace lockstep {

namespace {

constexpr std::chrono::seconds kMeetSeconds{60};

// Where the threads of a group meet: the last to come makes what all then share.
class Meeting {
 public:
  explicit Meeting(int ranks) : ranks_(ranks) {}

  // Every rank brings a (colour, key); `make` gets those of all ranks and answers for all.
  struct Wish {
    int color = 0, key = 0, rank = 0;
    bool operator<(const Wish& o) const {
      return std::tie(color, key, rank) < std::tie(o.color, o.key, o.rank);
    }
  };
  using Answers = std::vector<std::shared_ptr<void>>;  // by rank

  std::shared_ptr<void> come(const Wish& wish,
                             const std::function<Answers(std::vector<Wish>)>& make) {
    std::unique_lock lock(mutex_);
    const int round = round_;
    wishes_.push_back(wish);
    if (static_cast<int>(wishes_.size()) == ranks_) {
      answers_ = make(std::exchange(wishes_, {}));
      ++round_;
      met_.notify_all();
    } else if (!met_.wait_until(lock, std::chrono::system_clock::now() + kMeetSeconds,
                                [&] { return round_ != round; })) {
      throw_timeout("meeting the other " + std::to_string(ranks_ - 1) + " ranks of the group");
    }
    return std::exchange(answers_[static_cast<std::size_t>(wish.rank)], nullptr);
  }

 private:
  const int ranks_;
  std::mutex mutex_;
  std::condition_variable met_;
  std::vector<Wish> wishes_;
  Answers answers_;
  int round_ = 0;
};

struct Group {
  explicit Group(int ranks, ThreadReach how) : size(ranks), reach(how), meeting(ranks) {}
  const int size;
  const ThreadReach reach;
  Meeting meeting;
};

struct Seat {
  std::shared_ptr<Group> group;
  int rank;
};

std::shared_ptr<std::byte> zeroed(std::size_t bytes) {
  constexpr std::align_val_t kPage{4096};
  auto* memory = static_cast<std::byte*>(::operator new(bytes, kPage));
  std::memset(memory, 0, bytes);
  return {memory, [](std::byte* m) { ::operator delete(m, kPage); }};
}

Meeting::Answers seat_all(std::vector<Meeting::Wish> wishes, ThreadReach reach) {
  std::sort(wishes.begin(), wishes.end());
  Meeting::Answers seats(wishes.size());
  for (auto begin = wishes.begin(); begin != wishes.end();) {
    const auto end = std::find_if(begin, wishes.end(),
                                  [&](const Meeting::Wish& w) { return w.color != begin->color; });
    const auto group = std::make_shared<Group>(static_cast<int>(end - begin), reach);
    for (auto w = begin; w != end; ++w) {
      seats[static_cast<std::size_t>(w->rank)] =
          std::make_shared<Seat>(Seat{group, static_cast<int>(w - begin)});
    }
    begin = end;
  }
  return seats;
}

class ThreadSpace : public SharedSpace {
 public:
  explicit ThreadSpace(Seat seat) : group_(std::move(seat.group)), rank_(seat.rank) {}

  int rank() const override { return rank_; }
  int size() const override { return group_->size; }
  Crowding crowding() const override {
    return size() <= static_cast<int>(std::thread::hardware_concurrency()) ? Crowding::own_core
                                                                           : Crowding::shared_core;
  }

  std::shared_ptr<std::byte> map(std::size_t bytes) override {
    const auto mapped = group_->meeting.come({0, 0, rank_}, [&](const auto& wishes) {
      return Meeting::Answers(wishes.size(), zeroed(std::max<std::size_t>(bytes, 1)));
    });
    return std::static_pointer_cast<std::byte>(mapped);
  }

  bool can_read() const override { return group_->reach == ThreadReach::everything; }
  void read(std::byte* to, int, std::uint64_t address, std::size_t bytes) const override {
    expect(can_read(), "private memory is not to be read");
    copy_bytes(to, reinterpret_cast<const std::byte*>(address), bytes);
  }

  std::unique_ptr<SharedSpace> split(int color, int key) override {
    const auto seat = group_->meeting.come({color, key, rank_}, [&](auto wishes) {
      return seat_all(std::move(wishes), group_->reach);
    });
    return std::make_unique<ThreadSpace>(*std::static_pointer_cast<Seat>(seat));
  }

 private:
  std::shared_ptr<Group> group_;
  int rank_;
};

}  // namespace

std::vector<std::unique_ptr<Transport>> make_thread_transports(int ranks, ThreadReach reach) {
  const auto group = std::make_shared<Group>(ranks, reach);
  std::vector<std::unique_ptr<Transport>> transports(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;  // making one waits for the others
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] {
      transports[static_cast<std::size_t>(r)] =
          make_shared_transport(std::make_unique<ThreadSpace>(Seat{group, r}));
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  return transports;
}

}  // namespace lockstep
