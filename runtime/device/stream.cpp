// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/stream.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <thread>

#include "runtime/base/clock.hpp"

namespace lockstep {

struct Event::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::exception_ptr error;
};

Event::Event() = default;

bool Event::done() const {
  if (!state_) return true;
  std::lock_guard lock(state_->mutex);
  return state_->done;
}

void Event::wait() const {
  if (!state_) return;
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->done; });
  if (state_->error) std::rethrow_exception(state_->error);
}

namespace {

class InlineStream : public Stream {
 public:
  using Stream::Stream;

  void run(const Operation& operation, Body body) override {
    const double begin = now();
    body();
    const double end = now();
    busy_ += end - begin;
    if (recording()) recording()->add(operation, kind(), begin, end);
  }
  Event record() override { return {}; }
  void wait(const Event& event) override { event.wait(); }
  double busy_seconds() const override { return busy_; }

 private:
  double busy_ = 0;
};

class DryStream : public Stream {
 public:
  using Stream::Stream;

  void run(const Operation& operation, Body) override {
    if (recording()) recording()->add(operation, kind());
  }
  Event record() override { return {}; }
  void wait(const Event&) override {}
  bool executes() const override { return false; }
};

}  // namespace

// One thread, one queue, program order. After the first exception nothing more runs: later events
// carry it to whoever waits.
class WorkerStream : public Stream {
 public:
  explicit WorkerStream(StreamKind kind) : Stream(kind), thread_([this] { loop(); }) {}

  ~WorkerStream() override {
    push({});
    thread_.join();
  }

  void run(const Operation& operation, Body body) override {
    push([this, operation, body = std::move(body), into = recording()] {
      const double begin = now();
      body();
      const double end = now();
      busy_.store(busy_.load(std::memory_order_relaxed) + end - begin, std::memory_order_relaxed);
      if (into) into->add(operation, kind(), begin, end);
    });
  }

  Event record() override {
    Event event;
    event.state_ = std::make_shared<Event::State>();
    push_marker(event.state_);
    return event;
  }

  void wait(const Event& event) override {
    push([event] { event.wait(); });
  }

  double busy_seconds() const override { return busy_.load(std::memory_order_relaxed); }

 private:
  struct Item {
    Body body;  // empty, with no marker: stop
    std::shared_ptr<Event::State> marker;
  };

  void push(Body body) { push_item({std::move(body), nullptr}); }
  void push_marker(std::shared_ptr<Event::State> marker) { push_item({{}, std::move(marker)}); }
  void push_item(Item item) {
    {
      std::lock_guard lock(mutex_);
      queue_.push_back(std::move(item));
    }
    filled_.notify_one();
  }

  Item pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return !queue_.empty(); });
    Item item = std::move(queue_.front());
    queue_.pop_front();
    return item;
  }

  void loop() {
    for (;;) {
      Item item = pop();
      if (item.marker) {
        complete(*item.marker);
      } else if (!item.body) {
        return;
      } else if (!error_) {
        try {
          item.body();
        } catch (...) {
          error_ = std::current_exception();
        }
      }
    }
  }

  void complete(Event::State& marker) {
    {
      std::lock_guard lock(marker.mutex);
      marker.done = true;
      marker.error = error_;
    }
    marker.changed.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<Item> queue_;
  std::exception_ptr error_;  // of the worker thread only
  std::atomic<double> busy_{0};
  std::thread thread_;  // last: starts when all above is ready
};

std::unique_ptr<Stream> make_inline_stream(StreamKind kind) {
  return std::make_unique<InlineStream>(kind);
}
std::unique_ptr<Stream> make_worker_stream(StreamKind kind) {
  return std::make_unique<WorkerStream>(kind);
}
std::unique_ptr<Stream> make_dry_stream(StreamKind kind) {
  return std::make_unique<DryStream>(kind);
}

PhaseSpan::PhaseSpan(Stream& stream, const char* name)
    : stream_(stream), name_(name), begin_(now()) {}

PhaseSpan::~PhaseSpan() {
  if (!stream_.executes() || !stream_.recording()) return;
  stream_.recording()->add({.name = name_, .kind = OperationKind::phase}, StreamKind::compute,
                           begin_, now());
}

}  // namespace lockstep
