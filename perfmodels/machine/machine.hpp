// SPDX-License-Identifier: Apache-2.0
// A machine profile: what a cluster, or this machine, is known to do. `lockstep calibrate` measures
// one; others are made of datasheet values. The file is TOML (profile.hpp); every table in it says
// its source.
//
//   level    ranks of one node ("inside"), ranks of different nodes ("across")
#pragma once

#include <string>
#include <vector>

#include "perfmodels/machine/figure.hpp"

namespace lockstep {

// LogGP of one link: t = L + o_send + (n-1) G + o_recv, and a sender may send again after
// max(g, o_send) + (n-1) G.
struct LogGP {
  Figure L{}, o_send{}, o_recv{}, g{}, G{};
};

// t = alpha + beta n for messages of `from_bytes` and more, until the next segment.
struct Segment {
  double from_bytes = 0;
  Figure alpha{}, beta{};
};

struct LinkProfile {
  std::string level{};
  std::string source{};
  std::vector<Segment> segments{};  // ascending, the first from 0 bytes
  Curve messages{};                 // one way, over bytes: medians as they are (the fallback)
  Curve gaps{};                     // PLogP's g(m): between messages of a saturated sender
  LogGP loggp{};
  double rendezvous_bytes = 0;  // longer messages wait for their receiver; 0: none do
  double ports = 1;             // of a node to this level: what its ranks share
  // What messages of one rank do that are on the way at once: "queue", one behind the other, also
  // where nothing is said; "share", each at its part of the rate, as fluid simulators have it.
  std::string sharing{};
  Figure contention{};  // time with all pairs at once / alone; 0: not known, taken as 1
};

// One matrix product: C[m,n] += A[m,k] B[k,n]. `kernel` is the operation's name (linear_forward,
// ...), which tells what is transposed and what is done besides; empty: any. `by` is what was asked
// for where there is a choice (Operation::detail): products of float32 in "tf32".
struct GemmPoint {
  double m = 0, n = 0, k = 0;
  Figure seconds{};
  std::string kernel{}, by{};
};

// B sequences of T tokens, H heads of D. `pass` is the operation's name: attention_forward,
// attention_backward; `by`: empty, or "library" where cuDNN was asked.
struct AttentionPoint {
  std::string pass{}, by{};
  double B = 0, T = 0, H = 0, D = 0;
  Figure seconds{};
};

// A streaming kernel over the bytes that it reads and writes; kernel "*": any other.
struct KernelCurve {
  std::string kernel{};
  Curve seconds{};
};

// A part of C that one processor of a device computes at a time.
struct GemmTile {
  double m = 0, n = 0;
};

// What a device computes in one type, with the share of a node that a rank has.
struct ComputeProfile {
  std::string dtype = "float32";
  std::string source{};
  Figure peak_flops{};        // that no kernel exceeds
  Figure memory_bandwidth{};  // bytes/s, read and written
  Figure launch{};            // seconds per kernel that are not in the curves
  Figure gemm_efficiency{};   // of the peak, where there are no points; with tiles: within one
  Figure attention_efficiency{}, streaming_efficiency{};  // of peak and bandwidth, likewise
  // Where tiles are known, products are priced by the rounds in which the processors compute them
  // (gemm_rounds.hpp).
  double processors = 0;
  Figure cache_bandwidth{};  // bytes/s of all processors together: operands of tiles
  Figure tile_latency{};     // seconds until a tile computes at its rate, and has been written
  std::vector<GemmTile> tiles{};
  std::vector<GemmPoint> gemm{};
  std::vector<AttentionPoint> attention{};
  std::vector<KernelCurve> streaming{};
};

// What local steps of collectives cost (links.hpp says what each is).
struct SharedProfile {
  std::string source{};
  Figure gamma{};  // seconds per byte reduced
  Figure sync{}, crowded_sync{}, copy{}, reduce{}, stage{}, reach{}, fetch{};
};

// One algorithm of one operation among such ranks, over the bytes of the full vector.
struct CollectiveCurve {
  std::string source{};
  std::string operation{};  // "all_reduce"
  std::string label{};      // "native/ring", "mpi"
  int ranks = 0, nodes = 0;
  std::string memory{};  // "plain", "shared"
  Curve seconds{};
};

// Computing and communicating at once: by which factor each takes longer, and how long after its
// call a collective is at work at all, if kernels have the core.
struct OverlapProfile {
  std::string source{};
  Figure compute_slowdown{}, communication_slowdown{};
  Figure delay{};
};

// How long the average of `ranks` waits for the last one when all have computed the same, over the
// seconds that they have computed.
struct SkewProfile {
  std::string source{};
  int ranks = 0;
  Curve waiting{};
};

// Half the width of the 90 % range, as a share, of what all figures of a class do together from one
// round of a calibration to the next. The machine's own: it does not shrink with more samples.
struct DriftProfile {
  std::string source{};
  double compute = 0, memory = 0, collectives = 0;
};

// How long steps took that others published of such machines, over what this profile predicts of
// them: from the least to the most. Figures from datasheets have no intervals; this says instead
// how far they may be trusted.
struct PublishedRuns {
  std::string source{};
  double least = 0, most = 0;
  bool known() const { return most > 0; }
};

struct Machine {
  std::string name{};
  std::string source{};     // where the figures are from, when
  bool calibrated = false;  // false: datasheet values
  int nodes = 1, devices_per_node = 1, cores_per_node = 1;
  std::string device = "cpu";  // "cuda": communication leaves the cores that compute alone
  int threads_per_device = 1;  // cores that a rank computes with
  int measured_threads = 0;    // whose rates were taken in proportion (threads.hpp); 0: none were
  double memory_bytes = 0;     // of a device
  std::vector<ComputeProfile> compute{};
  std::vector<LinkProfile> links{};
  SharedProfile shared{};
  std::vector<CollectiveCurve> collectives{};
  OverlapProfile overlap{};
  SkewProfile skew{};
  DriftProfile drift{};
  PublishedRuns published{};

  // Whether this is how its ranks were seen to compute.
  bool measured() const { return calibrated && measured_threads == 0; }
  // Null where there is none.
  const ComputeProfile* find_compute(const std::string& dtype) const;
  const LinkProfile* find_link(const std::string& level) const;
};

}  // namespace lockstep
