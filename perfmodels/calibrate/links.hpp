// SPDX-License-Identifier: Apache-2.0
// What messages cost between ranks of one node and of different nodes, through the transport that
// the algorithms use; between GPUs as a pipeline sends them (device_group.hpp).
//
//   messages    ping-pong of one pair while all others are silent: half a round trip
//   contention  trains of long messages, all pairs in the same direction at once, against one
//                 pair's: ping-pongs would use the two directions by turns and not meet
//   LogGP       PRTT(n,d,s): n messages of s bytes, d seconds apart, one answer when all have come
//                 g + (s-1) G  = (PRTT(n,0,s) - PRTT(1,0,s)) / (n-1)
//                 o_send       = (PRTT(n,d,s) - PRTT(1,0,s)) / (n-1) - d,  d above a round trip
//                 o_recv       a message that has come is received
//                 L            = PRTT(1,0,s) / 2 - o_send - o_recv,  s small
// T. Hoefler, A. Lichei, W. Rehm, "Low-Overhead LogGP Parameter Assessment", IPDPS 2007.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "perfmodels/calibrate/extent.hpp"
#include "perfmodels/calibrate/message_trials.hpp"
#include "perfmodels/calibrate/piecewise.hpp"
#include "perfmodels/calibrate/sampler.hpp"

namespace lockstep {

// The ranks of one level in pairs: who this rank's partner is, and which of the pairs is the one
// that is measured alone.
struct Pairing {
  int peer = -1;      // -1: nobody
  bool lead = false;  // of the pair that is measured alone
  int pairs_per_node = 1;
};

class LinkCalibration {
 public:
  // Collective over all ranks.
  LinkCalibration(Sampler& sampler, const TimedMessages& messages, const Pairing& pairing,
                  std::string level, const Extent& extent);
  // After the first rounds: adds sizes about the place where the time jumps, to find it. Returns
  // whether any.
  bool refine();
  LinkProfile profile() const;
  // How well the segments of profile() fit.
  const PiecewiseFit& fit() const { return fit_; }
  // Empty, or from which size on messages would have taken too long.
  std::string left_out() const;

 private:
  enum class Who { one_pair, all_pairs };
  struct Size {
    std::size_t bytes, item;
  };
  struct Train {
    std::size_t bytes, one, many;  // items
    int messages;
  };
  // A line through a few messages, for what all others are going to take.
  struct Rough {
    double alpha = 0, beta = 0;
    double at(std::size_t bytes) const { return alpha + beta * static_cast<double>(bytes); }
  };

  Rough probe(const Extent& extent);
  std::size_t add_ping_pong(std::size_t bytes);
  std::size_t add_stream(std::size_t bytes, Who who);
  void add_messages(const Extent& extent);
  void add_contention();
  void add_loggp(const Extent& extent);
  int messages_of(const Extent& extent, double each) const;
  std::vector<Point> points() const;
  Figure seconds(std::size_t item) const { return sampler_.samples(item).figure(); }
  std::vector<Point> gap_points() const;
  std::vector<Point> in_order(const std::vector<Point>& points) const;
  LogGP loggp(const std::vector<Point>& gaps) const;
  Figure contention(double latency) const;

  Sampler& sampler_;
  TimedMessages messages_;
  Pairing pairing_;
  std::string level_;
  double seconds_;  // for the first visits of all
  Rough rough_;
  std::vector<Size> sizes_;
  std::vector<Train> trains_;
  std::size_t spaced_ = 0, receive_ = 0, alone_ = 0, together_ = 0;
  std::size_t contended_ = 0, too_long_ = 0;  // bytes; 0: none
  mutable PiecewiseFit fit_;
};

// Of the ranks of a node, or of ranks of equal place on nodes 2i and 2i+1. Pure arithmetic.
Pairing pair_inside(const std::vector<int>& node_of, int rank);
Pairing pair_across(const std::vector<int>& node_of, int rank);

}  // namespace lockstep
