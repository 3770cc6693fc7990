// SPDX-License-Identifier: Apache-2.0
// In which order the items of a calibration have their turns: at random, another each time, so that
// none always follows the same one; those with fewer visits first. Where a round is too short for
// all of them, the last ones are left out, and no item may always be among these.
//
// Items of one line are one after the other. What a curve says is how its points differ, and a
// machine stays for seconds in a state that changes them by half: points that are visited within
// one state, in most rounds, differ by what they are of.
#pragma once

#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

// Who has a turn.
struct Waiting {
  std::size_t visits = 0;  // had so far
  std::string line{};      // empty: it is compared with none
};

class Turns {
 public:
  // Indices of `items`. The same on ranks that ask alike.
  std::vector<std::size_t> next(std::span<const Waiting> items);

 private:
  std::mt19937 random_{};
};

}  // namespace lockstep
