// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/simulate/message_model.hpp"

#include <algorithm>
#include <cmath>

#include "perfmodels/models/hockney.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

double bytes_behind_the_first(double bytes) {
  return std::max(bytes - 1, 0.0);
}

// A segment that begins where rendezvous does was measured with it: the handshake is in its alpha.
bool has_handshake(const std::vector<Segment>& segments, double rendezvous_bytes) {
  return std::any_of(segments.begin(), segments.end(), [&](const Segment& s) {
    return s.from_bytes > 0 && s.from_bytes >= rendezvous_bytes / 2;
  });
}

}  // namespace

AlphaBetaModel::AlphaBetaModel(std::vector<Segment> segments, Latency latency,
                               double rendezvous_bytes)
    : segments_(std::move(segments)), latency_(latency) {
  expect(!segments_.empty(), "a link without segments");
  const bool waits = rendezvous_bytes > 0 && !has_handshake(segments_, rendezvous_bytes);
  handshake_ = waits ? 2 * segments_.front().alpha.value : 0;
}

AlphaBetaModel::AlphaBetaModel(double alpha, double beta, Latency latency)
    : segments_{{0, {alpha}, {beta}}}, latency_(latency) {}

MessageCost AlphaBetaModel::of(double bytes) const {
  const auto behind = std::find_if(segments_.begin() + 1, segments_.end(),
                                   [&](const Segment& s) { return s.from_bytes > bytes; });
  const double alpha = (behind - 1)->alpha.value, moving = (behind - 1)->beta.value * bytes;
  return {.hold = latency_ == Latency::holds_port ? alpha + moving : moving,
          .flight = alpha + moving,
          .handshake = handshake_};
}

MessageCost LogPModel::of(double bytes) const {
  const double between = std::max(p_.g.value, p_.o_send.value);
  const double w = p_.G.known() ? std::max(p_.g.value / p_.G.value, 1.0) : bytes;
  const double packets = std::max(std::ceil(bytes / std::max(w, 1.0)), 1.0);
  return {.send = p_.o_send.value,
          .hold = packets * between,
          .flight = (packets - 1) * between + p_.L.value,
          .receive = p_.o_recv.value,
          .handshake = 2 * p_.L.value};
}

MessageCost LogGPModel::of(double bytes) const {
  const double streaming = bytes_behind_the_first(bytes) * p_.G.value;
  return {.send = p_.o_send.value,
          .hold = std::max(p_.g.value, p_.o_send.value) + streaming,
          .flight = streaming + p_.L.value,
          .receive = p_.o_recv.value,
          .handshake = 2 * (p_.L.value + p_.o_send.value + p_.o_recv.value)};
}

PLogPModel::PLogPModel(double L, Curve gaps, double o_send, double o_recv)
    : L_(L), o_send_(o_send), o_recv_(o_recv), gaps_(std::move(gaps)) {
  expect(!gaps_.empty(), "a link without gaps");
}

// L is what the shortest message takes beyond its gap.
PLogPModel::PLogPModel(const LinkProfile& link)
    : PLogPModel(0, link.gaps, link.loggp.o_send.value, link.loggp.o_recv.value) {
  alone_ = link.messages;
  if (!link.segments.empty()) beta_ = link.segments.back().beta.value;
  rendezvous_bytes_ = link.rendezvous_bytes;
  const double n = gaps_.points().front().x;
  L_ = std::max(message_seconds(link, n).value - gaps_.at(n), 0.0);
}

double PLogPModel::at(const Curve& curve, double bytes) const {
  const Point& last = curve.points().back();
  if (beta_ <= 0 || bytes <= last.x) return curve.at(bytes);
  return last.y.value + beta_ * (bytes - last.x);
}

// The overheads are parts of the gaps, not in front of them.
MessageCost PLogPModel::of(double bytes) const {
  const double n = std::max(bytes, 1.0), gap = at(gaps_, n);
  double alone = L_ + gap, handshake = 2 * L_;
  if (!alone_.empty()) {
    const bool waits = rendezvous_bytes_ > 0 && n > rendezvous_bytes_;
    const double measured = at(alone_, n);
    handshake = waits ? std::max(measured - alone, 0.0) : 0;
    alone = measured - handshake;
  }
  return {.send = o_send_,
          .hold = gap,
          .flight = std::max(alone - o_send_ - o_recv_, 0.0),
          .receive = o_recv_,
          .handshake = handshake};
}

std::unique_ptr<MessageModel> best_model(const LinkProfile& link) {
  const bool timed = !link.messages.empty() || !link.segments.empty();
  if (!link.gaps.empty() && timed) return std::make_unique<PLogPModel>(link);
  if (link.loggp.L.known() && link.loggp.G.known()) {
    return std::make_unique<LogGPModel>(link.loggp);
  }
  const Latency latency = link.level == "across" ? Latency::passes : Latency::holds_port;
  if (!link.segments.empty()) {
    return std::make_unique<AlphaBetaModel>(link.segments, latency, link.rendezvous_bytes);
  }
  const Line line = line_of(link);
  if (!line.alpha.known() && !line.beta.known()) return nullptr;
  return std::make_unique<AlphaBetaModel>(line.alpha.value, line.beta.value, latency);
}

}  // namespace lockstep
