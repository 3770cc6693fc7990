// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/links.hpp"

#include <algorithm>
#include <cmath>

#include "collectives/sizes.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kShort = 8, kContended = 1 << 20, kLeastContended = 128 << 10;
constexpr std::size_t kTrainGrowth = 4;
constexpr int kLeastTrain = 4;
constexpr int kStreamed = 4;                // messages, for contention
constexpr std::size_t kAlways = 512 << 10;  // what libraries change below is seen at any speed
constexpr double kShare = 0.15;             // of all seconds: for the first visits
constexpr double kMessagesOfVisit = 10;     // one way: to prepare, to warm up, to time
constexpr double kLeastOfBytes = 0.1;       // of a message's time, the bytes' part
constexpr double kPrecision = 1.03;         // to which the place of a jump is found
constexpr double kLeastSeconds = 1e-9;

std::size_t whole_words(double bytes) {
  return static_cast<std::size_t>(std::lround(bytes / 4)) * 4;
}

// Figure of x - y, at least kLeastSeconds.
Figure difference(const Figure& x, const Figure& y, double per) {
  const auto at_least = [](double v) { return std::max(v, kLeastSeconds); };
  const double value = at_least((x.value - y.value) / per);
  return {value, std::min(value, at_least((x.low - y.high) / per)),
          std::max(value, at_least((x.high - y.low) / per))};
}

std::vector<int> ranks_on(const std::vector<int>& node_of, int node) {
  std::vector<int> ranks;
  for (std::size_t r = 0; r < node_of.size(); ++r) {
    if (node_of[r] == node) ranks.push_back(static_cast<int>(r));
  }
  return ranks;
}

int place_in(const std::vector<int>& ranks, int rank) {
  return static_cast<int>(std::find(ranks.begin(), ranks.end(), rank) - ranks.begin());
}

int at_or_none(const std::vector<int>& ranks, int place) {
  return place < std::ssize(ranks) ? ranks[static_cast<std::size_t>(place)] : -1;
}

}  // namespace

Pairing pair_inside(const std::vector<int>& node_of, int rank) {
  const int node = node_of[static_cast<std::size_t>(rank)];
  const std::vector<int> mine = ranks_on(node_of, node);
  const int place = place_in(mine, rank);
  return {.peer = at_or_none(mine, place ^ 1),
          .lead = node == 0 && place < 2,
          .pairs_per_node = std::max(static_cast<int>(std::ssize(mine)) / 2, 1)};
}

Pairing pair_across(const std::vector<int>& node_of, int rank) {
  const int node = node_of[static_cast<std::size_t>(rank)];
  const std::vector<int> mine = ranks_on(node_of, node), theirs = ranks_on(node_of, node ^ 1);
  const int place = place_in(mine, rank);
  const auto pairs = static_cast<int>(std::min(mine.size(), theirs.size()));
  return {.peer = at_or_none(theirs, place),
          .lead = node < 2 && place == 0,
          .pairs_per_node = std::max(pairs, 1)};
}

LinkCalibration::LinkCalibration(Sampler& sampler, const TimedMessages& messages,
                                 const Pairing& pairing, std::string level, const Extent& extent)
    : sampler_(sampler),
      messages_(messages),
      pairing_(pairing),
      level_(std::move(level)),
      seconds_(kShare * extent.seconds),
      rough_(probe(extent)) {
  add_messages(extent);
  if (pairing_.pairs_per_node > 1) add_contention();
  add_loggp(extent);
}

// Ever longer messages, until the next would take all the time that there is.
LinkCalibration::Rough LinkCalibration::probe(const Extent& extent) {
  constexpr std::size_t kGrowth = 16;
  const int peer = pairing_.lead ? pairing_.peer : -1;
  Rough line;
  std::size_t before = 0;
  double last = 0;
  for (std::size_t bytes = extent.least_message; bytes <= extent.most_message; bytes *= kGrowth) {
    double mine = -1;
    PingPongTrial(messages_, peer, bytes).run({&mine, 1});
    const double seconds = sampler_.greatest(mine);
    if (before == 0) line.alpha = seconds;
    if (before > 0) line.beta = std::max(seconds - last, 0.0) / static_cast<double>(bytes - before);
    before = bytes;
    last = seconds;
    if (bytes * kGrowth > kAlways && kMessagesOfVisit * kGrowth * seconds > seconds_) break;
  }
  return line;
}

std::size_t LinkCalibration::add_ping_pong(std::size_t bytes) {
  const int peer = pairing_.lead ? pairing_.peer : -1;
  return sampler_.add(
      {.name = level_ + " ping-pong",
       .prepare = [of = messages_, peer,
                   bytes] { return std::make_unique<PingPongTrial>(of, peer, bytes); },
       .line = level_ + " ping-pong"});
}

std::size_t LinkCalibration::add_stream(std::size_t bytes, Who who) {
  const int peer = who == Who::all_pairs || pairing_.lead ? pairing_.peer : -1;
  return sampler_.add(
      {.name = level_ + " stream",
       .prepare = [of = messages_, peer,
                   bytes] { return std::make_unique<TrainTrial>(of, peer, bytes, kStreamed); },
       .line = level_ + " stream"});
}

// Sizes end where the time does.
void LinkCalibration::add_messages(const Extent& extent) {
  const int steps = extent.message_steps;
  double spent = 0;
  for (int i = 0;; ++i) {
    const std::size_t bytes =
        whole_words(static_cast<double>(extent.least_message) * std::exp2(1.0 * i / steps));
    if (bytes > extent.most_message) return;
    spent += kMessagesOfVisit * rough_.at(bytes);
    if (bytes > kAlways && spent > seconds_) {
      too_long_ = bytes;
      return;
    }
    sizes_.push_back({bytes, add_ping_pong(bytes)});
  }
}

// Long enough that bytes count, and no longer than a part of the time allows.
void LinkCalibration::add_contention() {
  contended_ = std::min(kContended, sizes_.back().bytes);
  while (contended_ > kLeastContended &&
         kStreamed * kMessagesOfVisit * rough_.at(contended_) > seconds_ / 4)
    contended_ /= 2;
  alone_ = add_stream(contended_, Who::one_pair);
  together_ = add_stream(contended_, Who::all_pairs);
}

// Of a train whose messages are so far apart.
int LinkCalibration::messages_of(const Extent& extent, double each) const {
  const double fitting = seconds_ / 40 / each;
  return static_cast<int>(std::clamp<double>(fitting, kLeastTrain, extent.prtt_messages));
}

void LinkCalibration::add_loggp(const Extent& extent) {
  const int peer = pairing_.lead ? pairing_.peer : -1;
  const auto add = [&](const char* what, auto make) {
    return sampler_.add({.name = level_ + what, .prepare = make, .line = level_ + " LogGP"});
  };
  const auto train = [&](std::size_t bytes, int n) {
    return add(" train", [of = messages_, peer, bytes, n] {
      return std::make_unique<TrainTrial>(of, peer, bytes, n);
    });
  };
  const std::size_t most = sizes_.back().bytes / kTrainGrowth;
  for (std::size_t bytes = kShort; bytes <= most; bytes *= kTrainGrowth) {
    const int n = messages_of(extent, rough_.beta * static_cast<double>(bytes) + kLeastSeconds);
    trains_.push_back({bytes, train(bytes, 1), train(bytes, n), n});
  }
  const int n = messages_of(extent, 3 * rough_.alpha);
  spaced_ = add(" send overhead", [of = messages_, peer, n] {
    return std::make_unique<SendOverheadTrial>(of, peer, kShort, n);
  });
  receive_ = add(" receive overhead", [of = messages_, peer] {
    return std::make_unique<ReceiveOverheadTrial>(of, peer, kShort);
  });
}

std::string LinkCalibration::left_out() const {
  if (too_long_ == 0) return "";
  return "messages " + level_ + " nodes, of " + bytes_text(too_long_) + " bytes and more";
}

std::vector<Point> LinkCalibration::points() const {
  std::vector<Point> all;
  for (const Size& size : sizes_)
    all.push_back({static_cast<double>(size.bytes), seconds(size.item)});
  return in_order(all);
}

// Inside a node the protocol of longer messages may be the faster one.
std::vector<Point> LinkCalibration::in_order(const std::vector<Point>& points) const {
  return level_ == "across" ? ascending(points) : points;
}

// By bisection, once it is known between which sizes the jump lies.
bool LinkCalibration::refine() {
  const std::vector<Point> all = points();
  const PiecewiseFit fit = fit_segments(all);
  const Jump jump = find_jump(fit, all);
  if (!jump.found() || jump.above / jump.below < kPrecision) return false;
  const std::size_t between = whole_words(std::sqrt(jump.below * jump.above));
  const auto at =
      std::find_if(sizes_.begin(), sizes_.end(), [&](const Size& s) { return s.bytes >= between; });
  if (at != sizes_.end() && at->bytes == between) return false;
  sizes_.insert(at, {between, add_ping_pong(between)});
  return true;
}

std::vector<Point> LinkCalibration::gap_points() const {
  std::vector<Point> all;
  for (const Train& t : trains_) {
    all.push_back({static_cast<double>(t.bytes),
                   difference(seconds(t.many), seconds(t.one), t.messages - 1)});
  }
  return in_order(all);
}

// g is where the line of short messages begins, G how the line of long ones rises.
LogGP LinkCalibration::loggp(const std::vector<Point>& gaps) const {
  const PiecewiseFit fit = fit_segments(gaps);
  LogGP p;
  p.o_send = seconds(spaced_);
  p.o_recv = seconds(receive_);
  p.g = fit.segments.front().alpha;
  p.G = fit.segments.back().beta;
  if (!p.g.known()) p.g = gaps.front().y;
  Figure half = seconds(trains_.front().one);
  half = {half.value / 2, half.low / 2, half.high / 2};
  const double overhead = p.o_send.value + p.o_recv.value;
  p.L = difference(half, {overhead, overhead, overhead}, 1);
  return p;
}

// Of the bytes: latencies, of the first message and of the answer, do not stand in each other's
// way.
Figure LinkCalibration::contention(double latency) const {
  const Figure alone = seconds(alone_), together = seconds(together_);
  const double least = kLeastOfBytes * alone.value;
  const auto ratio = [&](double both, double one) {
    return std::max((both - latency) / std::max(one - latency, least), 1.0);
  };
  const double value = ratio(together.value, alone.value);
  return {value, std::min(value, ratio(together.low, alone.high)),
          std::max(value, ratio(together.high, alone.low))};
}

LinkProfile LinkCalibration::profile() const {
  const std::vector<Point> all = points(), gaps = gap_points();
  fit_ = fit_segments(all);
  const Jump jump = find_jump(fit_, all);
  LinkProfile p{.level = level_,
                .source = "measured",
                .segments = fit_.segments,
                .messages = Curve(all),
                .gaps = Curve(gaps),
                .loggp = loggp(gaps),
                .rendezvous_bytes = jump.below};
  p.ports = pairing_.pairs_per_node;
  if (pairing_.pairs_per_node < 2) return p;
  p.contention = contention(2 * fit_.segments.front().alpha.value);
  p.ports = std::max(std::round(pairing_.pairs_per_node / p.contention.value), 1.0);
  return p;
}

}  // namespace lockstep
