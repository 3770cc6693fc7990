// SPDX-License-Identifier: Apache-2.0
// The roofline of a job on a machine (Williams, Waterman, Patterson, CACM 52(4), 2009): a kernel of
// F FLOPs that moves B bytes attains at most min(peak, F/B x bandwidth). With one roof more per
// level of links: a node that sends S bytes for its F FLOPs attains at most F/S x the bandwidth of
// its ports. What a run really attained is read from its trace.
#pragma once

#include <string>
#include <vector>

#include "perfmodels/machine/machine.hpp"
#include "perfmodels/plot.hpp"
#include "runtime/device/recording.hpp"

namespace lockstep {

// All launches of one kernel in a step of one rank.
struct KernelRoof {
  std::string name{};
  OperationKind kind = OperationKind::streaming;
  std::int64_t launches = 0;
  double flops = 0, bytes = 0;
  double compute_seconds = 0, memory_seconds = 0;  // at the peak, and at the memory's bandwidth
  double attained_seconds = 0;                     // measured; 0: no trace

  double intensity() const { return bytes > 0 ? flops / bytes : 0; }
  // No kernel can be faster on the profile's figures.
  double attainable_seconds() const;
  const char* bound() const { return compute_seconds > memory_seconds ? "compute" : "memory"; }
};

// A step against the links of one level.
struct LinkRoof {
  std::string level{};
  double bytes = 0;      // that a node (level inside: a rank) sends at least in a step
  double flops = 0;      // that it computes
  double bandwidth = 0;  // of its ports, bytes/s

  double intensity() const { return bytes > 0 ? flops / bytes : 0; }
  double seconds() const { return bytes / bandwidth; }
};

struct Roofline {
  std::string machine{}, dtype{};
  double peak_flops = 0, memory_bandwidth = 0;
  int ranks = 1, nodes = 1;
  std::vector<KernelRoof> kernels{};  // in the order of their first launch
  std::vector<LinkRoof> links{};      // none where nothing is sent

  double ridge() const { return peak_flops / memory_bandwidth; }
  KernelRoof sum() const;
};

// `recording`: one step of one of `ranks`. ConfigError where the profile lacks the peak or the
// bandwidth of this type.
Roofline roofline_of(const Recording& recording, int ranks, const Machine& machine,
                     const std::string& dtype);

// Fills attained_seconds: means over the steps of rank 0 in the trace of a run. `run`: its
// directory, or the file. ConfigError if it is the trace of another job: other kernels, or of other
// sizes.
void add_attained(Roofline& roofline, const std::string& run);

Plot plot_of(const Roofline& roofline);

}  // namespace lockstep
