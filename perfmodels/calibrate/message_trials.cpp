// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/message_trials.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/base/clock.hpp"

namespace lockstep {

namespace {

constexpr double kPatienceSeconds = 120;
constexpr std::size_t kArrayBytes = 4 << 20;  // beyond a core's own caches
constexpr std::size_t kAnswerBytes = 8;
constexpr double kShortest = 10e-6;     // timed at once
constexpr double kLeastSeconds = 1e-9;  // what is shorter was not measured
constexpr int kMostRoundTrips = 16;

// Seconds that really passed.
double wait_for(double seconds) {
  const double begin = now();
  double passed = 0;
  while (passed < seconds)
    passed = now() - begin;
  return passed;
}

std::shared_ptr<void> touched(std::size_t bytes) {
  std::shared_ptr<std::byte[]> memory(new std::byte[bytes]);
  std::memset(memory.get(), 1, bytes);
  return memory;
}

}  // namespace

MessageMemory::MessageMemory(Device* gpu, std::size_t largest)
    : size_(std::max(largest, kArrayBytes)), memory_(gpu ? gpu->allocate(size_) : touched(size_)) {}

Elements MessageMemory::next(std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  if (begin_ + bytes > size_) begin_ = 0;
  const Elements part{static_cast<std::byte*>(memory_.get()) + begin_, bytes, DType::uint8};
  begin_ += (bytes + kLine - 1) / kLine * kLine;
  return part;
}

PairTrial::PairTrial(const TimedMessages& messages, int peer, std::size_t bytes)
    : net_(messages.net),
      gpu_(messages.gpu),
      peer_(peer),
      bytes_(bytes),
      out_(gpu_, bytes),
      in_(gpu_, bytes) {
  if (gpu_) gpu_->compute().synchronize();  // memory is that stream's
  net_.begin(barrier_call(), {now() + kPatienceSeconds});
}

PairTrial::Train PairTrial::speak(int messages, double delay) {
  Train t;
  const double begin = now();
  for (int i = 0; i < messages; ++i) {
    if (i > 0 && delay > 0) t.delays += wait_for(delay);
    net_.post_send(out_.next(bytes_), peer_);
  }
  net_.receive(in_.next(kAnswerBytes), peer_);
  net_.complete();
  t.seconds = now() - begin;
  return t;
}

void PairTrial::answer(int messages) {
  for (int i = 0; i < messages; ++i)
    net_.post_receive(in_.next(bytes_), peer_);
  net_.complete();
  net_.send(out_.next(kAnswerBytes), peer_);
}

PairTrial::Train PairTrial::train(int messages, double delay) {
  if (speaks()) return speak(messages, delay);
  if (answers()) answer(messages);
  return {};
}

double PairTrial::told(double value) {
  Elements data{reinterpret_cast<std::byte*>(&value), 1, DType::float64};
  if (gpu_) {
    data.data = out_.next(data.bytes()).data;
    gpu_->copy_in(data.data, &value, data.bytes());
    gpu_->compute().synchronize();
  }
  if (speaks()) net_.send(data, peer_);
  if (answers()) net_.receive(data, peer_);
  if (gpu_) gpu_->copy_out(&value, data.data, data.bytes());
  return value;
}

// Short round trips are timed several at once; both must know how many.
PingPongTrial::PingPongTrial(const TimedMessages& messages, int peer, std::size_t bytes)
    : PairTrial(messages, peer, bytes) {
  if (peer_ < 0) return;
  round_trips(1);
  const double fitting = kShortest / std::max(round_trips(1), 1e-9);
  batch_ = static_cast<int>(told(std::clamp(fitting, 1.0, 1.0 * kMostRoundTrips)));
}

double PingPongTrial::round_trips(int n) {
  const double begin = now();
  for (int i = 0; i < n; ++i) {
    if (speaks()) net_.send(out_.next(bytes_), peer_);
    net_.receive(in_.next(bytes_), peer_);
    if (answers()) net_.send(out_.next(bytes_), peer_);
  }
  return now() - begin;
}

void PingPongTrial::run(std::span<double> seconds) {
  const double both = peer_ < 0 ? 0 : round_trips(batch_);
  seconds[0] = speaks() ? both / (2 * batch_) : -1;
}

void TrainTrial::run(std::span<double> seconds) {
  const Train t = train(messages_, 0);
  seconds[0] = speaks() ? t.seconds : -1;
}

void SendOverheadTrial::run(std::span<double> seconds) {
  const double one = train(1, 0).seconds;
  const Train t = train(messages_, 1.5 * one);  // of the delays only the speaker knows
  const double each = (t.seconds - one - t.delays) / (messages_ - 1);
  seconds[0] = speaks() ? std::max(each, kLeastSeconds) : -1;
}

ReceiveOverheadTrial::ReceiveOverheadTrial(const TimedMessages& messages, int peer,
                                           std::size_t bytes)
    : PairTrial(messages, peer, bytes) {
  train(1, 0);
  round_trip_ = told(train(1, 0).seconds);
}

// From its answer a round trip passes until the message has come.
void ReceiveOverheadTrial::run(std::span<double> seconds) {
  seconds[0] = -1;
  round_trip_ = std::max(round_trip_, told(train(1, 0).seconds));
  train(1, 0);
  if (speaks()) {
    net_.send(out_.next(bytes_), peer_);
  } else if (answers()) {
    wait_for(2 * round_trip_ + 1e-6);
    const double start = now();
    net_.receive(in_.next(bytes_), peer_);
    seconds[0] = now() - start;
  }
  train(1, 0);  // nobody runs ahead
}

}  // namespace lockstep
