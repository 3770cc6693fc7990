// SPDX-License-Identifier: Apache-2.0
// What one launch of a kernel takes on a machine, from the best that its profile has:
//   matrix products, attention   measured points, interpolated (lattice.hpp)
//   streaming kernels            the curve of that kernel over bytes, else that of any ("*")
//   otherwise                    products by their tiles, where those are known (gemm_rounds.hpp);
//   the
//                                peak, or the memory bandwidth, times an efficiency
#pragma once

#include <map>
#include <string>
#include <vector>

#include "perfmodels/lattice.hpp"
#include "perfmodels/machine/machine.hpp"
#include "runtime/device/recording.hpp"

namespace lockstep {

struct KernelTime {
  Figure seconds{};
  double error = 0;     // of interpolation, half of a 90 % interval as a share of the seconds
  const char* by = "";  // "points", "curve", "curve of any", "tiles", "peak", "bandwidth"
  bool in_range = false;
};

// What a profile calls a kernel that does its work in one of several ways (Operation::detail).
std::string kernel_key(const std::string& kernel, const std::string& by);

class KernelTimes {
 public:
  // `machine` stays.
  explicit KernelTimes(const Machine& machine);

  // ConfigError names the entry that the profile lacks, and what measures it.
  KernelTime of(const Operation& operation) const;
  // Two other answers, to be compared with: of the nearest point that was measured, in proportion
  // to the work; and by the roofline, the larger of FLOPs / peak and bytes / bandwidth.
  double nearest(const Operation& operation) const;
  double roofline(const Operation& operation) const;
  const ComputeProfile& profile(const Operation& operation) const;

 private:
  struct Tables {
    const ComputeProfile* profile = nullptr;
    std::map<std::string, Lattice> gemm{}, attention{};  // seconds per FLOP, by kernel
  };

  const Tables& tables(const Operation& operation) const;
  const Lattice* lattice(const Operation& operation) const;
  KernelTime by_curve(const Operation& operation, const Curve& curve, const char* by) const;
  KernelTime by_rate(const Operation& operation, const ComputeProfile& p) const;

  const Machine& machine_;
  std::map<std::string, Tables> by_dtype_;
};

}  // namespace lockstep
