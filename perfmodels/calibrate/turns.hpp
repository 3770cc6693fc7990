// SPDX-License-Identifier: Apache-2.0
// In which order the items of a calibration have their turns: at random, another each time, so that
// none always follows the same one; those with fewer visits first. Where a round is too short for
// all of them, the last ones are left out, and no item may always be among these.
#pragma once

#include <cstddef>
#include <random>
#include <span>
#include <vector>

namespace lockstep {

class Turns {
 public:
  // Indices of `visits`, which says how many each item has had. The same on ranks that ask alike.
  std::vector<std::size_t> next(std::span<const std::size_t> visits);

 private:
  std::mt19937 random_{};
};

}  // namespace lockstep
