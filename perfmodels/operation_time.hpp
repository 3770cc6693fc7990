// SPDX-License-Identifier: Apache-2.0
// What one recorded operation takes on a machine, kernel or collective, with the answer kept for
// the next of the same shape: a step has thousands of operations of a few dozen shapes.
#pragma once

#include <array>
#include <map>
#include <string>
#include <tuple>

#include "collectives/links.hpp"
#include "perfmodels/kernel_time.hpp"

namespace lockstep {

struct OperationTime {
  Figure seconds{};
  double error = 0;  // of interpolation, half of a 90 % interval as a share
  std::string by{};  // of kernels (kernel_time.hpp) and collectives (collective_price.hpp)
  bool in_range = false;
};

// Where the ranks of a recorded collective lie on a machine.
GroupShape shape_of(const Machine& machine, const Operation& operation);

// One kernel, or what other software has in its place (dry_policy.hpp).
bool is_of_attention(const Operation& operation);

class OperationTimes {
 public:
  explicit OperationTimes(const Machine& machine) : machine_(machine), kernels_(machine) {}

  // Phases take nothing. ConfigError where the profile lacks what is needed. The reference stays.
  const OperationTime& of(const Operation& operation);
  const KernelTimes& kernels() const { return kernels_; }
  const Machine& machine() const { return machine_; }

 private:
  using Key = std::tuple<std::string, std::array<std::int64_t, 4>, double, DType, std::string,
                         std::string, int, int>;
  static Key key_of(const Operation& operation);
  OperationTime price(const Operation& operation) const;
  OperationTime price_collective(const Operation& operation) const;

  const Machine& machine_;
  KernelTimes kernels_;
  std::map<Key, OperationTime> known_;
};

// What replay or formula say of a collective, without the measured curves.
double modelled_seconds(const Machine& machine, const Operation& operation);

}  // namespace lockstep
