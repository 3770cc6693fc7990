// SPDX-License-Identifier: Apache-2.0
// What numbers on the command line may be. CLI11's own checks name a bound of 300 digits, and let
// NaN pass.
#pragma once

namespace CLI {
class Validator;
}

namespace lockstep {

// A whole number from `low` to 2^24: ranks, nodes, rows.
CLI::Validator count_from(int low);

// A number above 0.
CLI::Validator positive();

// A number from 0 to 1.
CLI::Validator share();

}  // namespace lockstep
