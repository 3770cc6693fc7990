// SPDX-License-Identifier: Apache-2.0
// Steps whose loss or gradient norm stands out: more standard deviations above the mean of the last
// steps than a limit allows (a z-score). A step that stands out does not count for the next ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

// The latest values of one quantity.
class Recent {
 public:
  explicit Recent(std::size_t most) : most_(most) {}
  void add(double value);
  void clear() { values_.clear(); }
  std::vector<double> values() const { return {values_.begin(), values_.end()}; }
  // How many deviations `value` is above the mean; nothing while there are too few to judge by.
  std::optional<double> deviations(double value) const;

 private:
  std::size_t most_;
  std::deque<double> values_;
};

class Spikes {
 public:
  Spikes(double limit, std::int64_t window);

  // What stands out, in words; empty if nothing does. Asks only.
  std::string judge(double loss, double grad_norm) const;
  void add(double loss, double grad_norm);
  // What it judges by, to go on from: of a longer window the last ones count.
  std::vector<double> losses() const { return losses_.values(); }
  std::vector<double> grad_norms() const { return norms_.values(); }
  void go_on_from(const std::vector<double>& losses, const std::vector<double>& grad_norms);

 private:
  double limit_;
  Recent losses_, norms_;
};

}  // namespace lockstep
