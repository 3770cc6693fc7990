// SPDX-License-Identifier: Apache-2.0
// Which operations of a step no measurement covers, and what interpolation may miss of it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "perfmodels/operation_time.hpp"
#include "runtime/device/recording.hpp"

namespace lockstep {

// An operation that no measurement of the profile covers.
struct Guess {
  std::string operation{};  // "linear_forward 64x64x64"
  std::string by{};
  int launches = 0;
  double seconds = 0;  // of all of them
};

class GuessList {
 public:
  // Of a rank, of which there are `times` that matter.
  void add(const Recording& recording, OperationTimes& prices, int times = 1);
  // At least 95 % of the time of all operations.
  bool mostly_in_range() const;
  std::vector<Guess> sorted() &&;  // the longest first

 private:
  std::map<const OperationTime*, std::size_t> seen_;
  std::vector<Guess> guesses_;
  double all_ = 0, outside_ = 0;
};

// Half of what interpolation may miss of the whole step. The shapes of a job have their sizes in
// common: those of one kind are missed alike, kinds independently.
double interpolation_error(const Recording& recording, OperationTimes& prices);

// One of the operations of the record by name and sizes: "all_reduce 1024 (native/ring)".
std::string text_of(const Operation& operation);

}  // namespace lockstep
