// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/stream.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <thread>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

void Stream::note(const Operation&, double, double) {
  throw LogicError("only an immediate stream lets its caller carry out a body");
}

void Stream::attend(std::unique_ptr<UnderWay> work) {
  while (!work->done())
    std::this_thread::yield();
}

double Stream::seconds_of(const Body& work) {
  const double begin = now();
  work();
  synchronize();
  return now() - begin;
}

void Stream::end_phase(const Operation& phase, double begin) {
  if (!recording()) return;
  recording()->add(phase, StreamKind::compute, executes() ? begin : 0, executes() ? now() : 0);
}

Event::Event() = default;

Event::Event(std::shared_ptr<State> state) : state_(std::move(state)) {}

bool Event::done() const {
  return !state_ || state_->complete();
}

void Event::wait() const {
  if (state_) state_->wait();
}

namespace {

thread_local bool background = false;

class InlineStream : public Stream {
 public:
  InlineStream(StreamKind kind, Stream* beside) : Stream(kind), beside_(beside) {}

  void run(const Operation& operation, Body body) override {
    if (beside_) beside_->wake();
    const double begin = now();
    body();
    note(operation, begin, now());
  }
  bool immediate() const override { return true; }
  void note(const Operation& operation, double begin, double end) override {
    busy_ += end - begin;
    if (recording()) recording()->add(operation, kind(), begin, end);
  }
  Event record() override { return {}; }
  void wait(const Event& event) override { event.wait(); }
  double busy_seconds() const override { return busy_; }
  double exposed_seconds() const override { return busy_; }

 private:
  Stream* beside_;
  double busy_ = 0;
};

// Of a dry stream, which is always done: what the event stands for.
class DryEvent : public Event::State {
 public:
  DryEvent(const Recording* recording, const RecordByStream& reached)
      : recording_(recording), reached_(reached) {}
  bool complete() override { return true; }
  void wait() override {}
  bool is_of(const Recording* recording) const { return recording_ == recording; }
  const RecordByStream& reached() const { return reached_; }

 private:
  const Recording* recording_;
  RecordByStream reached_;
};

class DryStream : public Stream {
 public:
  DryStream(StreamKind kind, const DryPolicy& policy, Lane lane)
      : Stream(kind, lane), policy_(policy) {}

  void run(const Operation& operation, Body) override {
    if (!recording()) return;
    if (policy_.changes_nothing()) {
      add(operation);
      return;
    }
    for (const Operation& instead : recorded_as(operation, policy_))
      add(instead);
    const bool tensor = operation.group && operation.group->name == "tensor";
    if (policy_.separate && tensor)
      recording()->wait(StreamKind::compute, recording()->last(kind(), lane()));
  }
  Event record() override {
    if (!recording()) return {};
    return Event(std::make_shared<DryEvent>(recording(), recording()->reached(kind(), lane())));
  }
  void wait(const Event& event) override {
    const auto* dry = dynamic_cast<const DryEvent*>(event.state());
    if (recording() && dry && dry->is_of(recording()))
      recording()->wait(kind(), dry->reached(), lane());
  }
  bool executes() const override { return false; }

 private:
  void add(const Operation& operation) { recording()->add(operation, kind(), 0, 0, lane()); }

  DryPolicy policy_;
};

class WorkerStream;

// What stands in the queue for an event.
class Marker : public Event::State {
 public:
  explicit Marker(WorkerStream& stream) : stream_(stream) {}

  bool complete() override {
    std::lock_guard lock(mutex_);
    return done_;
  }
  void finish(const std::exception_ptr& with) {
    {
      std::lock_guard lock(mutex_);
      done_ = true;
      error_ = with;
    }
    changed_.notify_all();
  }
  void wait() override;

 private:
  void wait_for_others() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
    if (error_) std::rethrow_exception(error_);
  }

  WorkerStream& stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::exception_ptr error_;
};

// One queue, program order. Whoever has time carries it out: the worker thread, or a caller that
// waits for an event of this stream. After the first exception nothing more runs: later events
// carry it to whoever waits.
class WorkerStream : public Stream {
 public:
  WorkerStream(StreamKind kind, Body between)
      : Stream(kind), between_(std::move(between)), thread_([this] { loop(); }) {}

  ~WorkerStream() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    filled_.notify_one();
    thread_.join();
  }

  void run(const Operation& operation, Body body) override {
    push({[this, operation, body = std::move(body), into = recording()] {
            const double begin = now();
            body();
            const double end = now();
            count(busy_, end - begin);
            if (!background) count(exposed_, end - begin);
            if (into) into->add(operation, kind(), begin, end);
          },
          nullptr});
  }

  Event record() override {
    auto marker = std::make_shared<Marker>(*this);
    push({{}, marker});
    return Event(std::move(marker));
  }

  void wait(const Event& event) override {
    if (!event.state()) return;
    push({[event] { event.wait(); }, nullptr});
  }

  void wake() override {
    if (unseen_.exchange(false, std::memory_order_relaxed)) filled_.notify_one();
  }

  double busy_seconds() const override { return busy_.load(std::memory_order_relaxed); }
  double exposed_seconds() const override { return exposed_.load(std::memory_order_relaxed); }
  void waited(double seconds) { count(exposed_, seconds); }

  // Carries out what stands before `marker`, unless the worker is at it.
  void help(Marker& marker) {
    for (;;) {
      std::unique_lock turn(turn_, std::try_to_lock);
      if (!turn || marker.complete()) return;
      Item item;
      if (!pop(item)) return;
      execute(item);
    }
  }

 private:
  static constexpr std::chrono::milliseconds kLookAgain{1};

  struct Item {
    Body body;
    std::shared_ptr<Marker> marker;  // instead of a body
  };

  // By one thread at a time.
  static void count(std::atomic<double>& sum, double seconds) {
    sum.store(sum.load(std::memory_order_relaxed) + seconds, std::memory_order_relaxed);
  }

  void push(Item item) {
    {
      std::lock_guard lock(mutex_);
      queue_.push_back(std::move(item));
    }
    unseen_.store(true, std::memory_order_relaxed);
  }

  bool pop(Item& item) {
    std::lock_guard lock(mutex_);
    if (queue_.empty()) return false;
    item = std::move(queue_.front());
    queue_.pop_front();
    return true;
  }

  // False at the end.
  bool await_work() {
    for (;;) {
      if (between_) between_();
      std::unique_lock lock(mutex_);
      if (!queue_.empty()) return true;
      if (stopping_) return false;
      filled_.wait_for(lock, kLookAgain);
    }
  }

  void loop() {
    background = true;
    while (await_work()) {
      unseen_.store(false, std::memory_order_relaxed);
      std::lock_guard turn(turn_);
      Item item;
      if (pop(item)) execute(item);
    }
  }

  // Of whoever has the turn.
  void execute(Item& item) {
    if (item.marker) return item.marker->finish(error_);
    if (error_) return;
    try {
      item.body();
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  const Body between_;
  std::mutex mutex_;  // of the queue
  std::condition_variable filled_;
  std::deque<Item> queue_;
  bool stopping_ = false;
  std::mutex turn_;  // held while one item is carried out
  std::exception_ptr error_;
  std::atomic<bool> unseen_{false};  // something was pushed that the worker was not woken for
  std::atomic<double> busy_{0}, exposed_{0};
  std::thread thread_;  // last: starts when all above is ready
};

void Marker::wait() {
  if (!complete()) stream_.help(*this);
  if (background || complete()) return wait_for_others();
  const double begin = now();
  wait_for_others();
  stream_.waited(now() - begin);
}

}  // namespace

bool in_background() {
  return background;
}

std::unique_ptr<Stream> make_inline_stream(StreamKind kind, Stream* beside) {
  return std::make_unique<InlineStream>(kind, beside);
}
std::unique_ptr<Stream> make_worker_stream(StreamKind kind, Stream::Body between) {
  return std::make_unique<WorkerStream>(kind, std::move(between));
}
std::unique_ptr<Stream> make_dry_stream(StreamKind kind, const DryPolicy& policy, Lane lane) {
  return std::make_unique<DryStream>(kind, policy, lane);
}

PhaseSpan::PhaseSpan(Stream& stream, const char* name, std::array<std::int64_t, 2> of)
    : stream_(stream),
      name_(name),
      of_(of),
      begin_(now()),
      first_(stream.recording() ? stream.recording()->size() : 0) {
  stream_.begin_phase(name_);
}

PhaseSpan::~PhaseSpan() {
  Recording* const recording = stream_.recording();
  stream_.end_phase({.name = name_,
                     .kind = OperationKind::phase,
                     .shape = {recording ? recording->size() - first_ : 0, of_[0], of_[1]}},
                    begin_);
}

}  // namespace lockstep
