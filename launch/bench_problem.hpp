// SPDX-License-Identifier: Apache-2.0
// What the ranks of a benchmark bring, and what they must get: small integers, so that every sum
// is exact in any type and order.
#pragma once

#include <string>
#include <vector>

#include "collectives/sample_call.hpp"

namespace lockstep {

// This rank's input.
std::vector<std::byte> bench_input(const Sample& sample);
// Empty if `out` holds the result, else what is wrong first. An average is still a sum: whoever
// called the backend divides.
std::string bench_mistake(const Sample& sample, const Elements& out);

}  // namespace lockstep
