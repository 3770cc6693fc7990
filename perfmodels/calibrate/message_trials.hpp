// SPDX-License-Identifier: Apache-2.0
// Messages between the two ranks of a pair, timed. The rank of the lower number speaks first and
// holds the clock; ranks without a partner, and those that are told to be silent, wait.
#pragma once

#include "collectives/transport.hpp"
#include "perfmodels/calibrate/sampler.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

// Whose messages are timed, and the GPU in whose memory they lie; none: the host's.
struct TimedMessages {
  // NOLINTNEXTLINE(google-explicit-constructor): of a transport, they are the host's
  TimedMessages(Transport& transport, Device* device = nullptr) : net(transport), gpu(device) {}
  Transport& net;
  Device* gpu;
};

// Bytes of an array that begin at ever new places, so that no core's own cache holds them.
class MessageMemory {
 public:
  MessageMemory(Device* gpu, std::size_t largest);
  Elements next(std::size_t bytes);

 private:
  std::size_t size_;
  std::shared_ptr<void> memory_;
  std::size_t begin_ = 0;
};

// What all of them share. `peer` is -1 for a silent rank.
class PairTrial : public Trial {
 public:
  PairTrial(const TimedMessages& messages, int peer, std::size_t bytes);

 protected:
  bool speaks() const { return peer_ >= 0 && net_.rank() < peer_; }
  bool answers() const { return peer_ >= 0 && net_.rank() > peer_; }
  // n messages, `delay` seconds between two of them, then one answer. On the speaking rank the
  // seconds that it took, and of these, those that were delays.
  struct Train {
    double seconds = 0, delays = 0;
  };
  Train train(int messages, double delay);
  // What the speaking rank says, on both.
  double told(double value);

  Transport& net_;
  Device* const gpu_;
  const int peer_;
  const std::size_t bytes_;
  MessageMemory out_, in_;

 private:
  Train speak(int messages, double delay);
  void answer(int messages);
};

// Half a round trip of messages of equal size.
class PingPongTrial : public PairTrial {
 public:
  PingPongTrial(const TimedMessages& messages, int peer, std::size_t bytes);
  void run(std::span<double> seconds) override;

 private:
  double round_trips(int n);
  int batch_ = 1;
};

// PRTT(n, 0, s).
class TrainTrial : public PairTrial {
 public:
  TrainTrial(const TimedMessages& of, int peer, std::size_t bytes, int messages)
      : PairTrial(of, peer, bytes), messages_(messages) {}
  void run(std::span<double> seconds) override;

 private:
  const int messages_;
};

// o_send, by PRTT(n, d, s) and PRTT(1, 0, s).
class SendOverheadTrial : public PairTrial {
 public:
  SendOverheadTrial(const TimedMessages& of, int peer, std::size_t bytes, int messages)
      : PairTrial(of, peer, bytes), messages_(messages) {}
  void run(std::span<double> seconds) override;

 private:
  const int messages_;
};

// o_recv: how long it takes to receive what has come already. The answering rank holds the clock;
// how long a message takes only the speaking one can tell it.
class ReceiveOverheadTrial : public PairTrial {
 public:
  ReceiveOverheadTrial(const TimedMessages& messages, int peer, std::size_t bytes);
  void run(std::span<double> seconds) override;

 private:
  double round_trip_ = 0;
};

}  // namespace lockstep
