// SPDX-License-Identifier: Apache-2.0
// What one message costs whom: the interface between the replay of a schedule and the models of
// point-to-point communication. Adding a model: one class here, or anywhere.
//
//   sender    |-send-|
//   its port         |------- hold -------|             then the next message may leave
//   wire             |------- flight ----------|        from its first byte leaving to its last
//   receiver                                   |-receive-|                         arriving
//
// alone: t = send + flight + receive
#pragma once

#include <memory>
#include <vector>

#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// In seconds. A port at the other end is held as long, up to the last byte.
struct MessageCost {
  double send = 0;     // of the sender's processor
  double hold = 0;     // of a port
  double flight = 0;   // from first byte sent to last byte there; at least `hold` or a little less
  double receive = 0;  // of the receiver's processor
  double handshake = 0;  // in front of a message that waits for its receiver
  double alone() const { return send + flight + receive; }
};

class MessageModel {
 public:
  MessageModel() = default;
  virtual ~MessageModel() = default;
  MessageModel(const MessageModel&) = delete;
  MessageModel& operator=(const MessageModel&) = delete;
  virtual MessageCost of(double bytes) const = 0;
};

// What a port does while the first byte is under way.
enum class Latency : std::uint8_t {
  holds_port,  // nothing: steps of Hockney's formulas; messages of processors
  passes       // it sends the next message: links of a network, first in, first out
};

// alpha + beta n, in segments.
class AlphaBetaModel : public MessageModel {
 public:
  AlphaBetaModel(std::vector<Segment> segments, Latency latency, double rendezvous_bytes = 0);
  AlphaBetaModel(double alpha, double beta, Latency latency);
  MessageCost of(double bytes) const override;

 private:
  std::vector<Segment> segments_;
  Latency latency_;
  double handshake_ = 0;
};

// Messages of one size, w bytes; longer ones are several of them. w = g/G, where both say the same.
// D. Culler et al., PPoPP 1993.
class LogPModel : public MessageModel {
 public:
  explicit LogPModel(const LogGP& p) : p_(p) {}
  MessageCost of(double bytes) const override;

 private:
  LogGP p_;
};

// A. Alexandrov et al., JPDC 44(1), 1997.
class LogGPModel : public MessageModel {
 public:
  explicit LogGPModel(const LogGP& p) : p_(p) {}
  MessageCost of(double bytes) const override;

 private:
  LogGP p_;
};

// L + g(n), g a table; a profile that has a table of single messages, too, says what L + g(n) is,
// and what messages that wait for their receiver take beyond it, the handshake. Past their last
// points tables go on straight, by what the profile's line says of a byte.
// T. Kielmann et al., IPDPS workshops 2000.
class PLogPModel : public MessageModel {
 public:
  PLogPModel(double L, Curve gaps, double o_send = 0, double o_recv = 0);
  explicit PLogPModel(const LinkProfile& link);
  MessageCost of(double bytes) const override;

 private:
  double at(const Curve& curve, double bytes) const;

  double L_, o_send_, o_recv_;
  Curve gaps_, alone_{};
  double beta_ = 0, rendezvous_bytes_ = 0;  // 0: not known; none
};

// The finest that the profile has figures for: PLogP, LogGP, lines. Null where it has none.
std::unique_ptr<MessageModel> best_model(const LinkProfile& link);

}  // namespace lockstep
