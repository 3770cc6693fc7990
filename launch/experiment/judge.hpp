// SPDX-License-Identifier: Apache-2.0
// What became of the hypothesis of an experiment: each expectation against what was measured, or,
// where nothing ran, predicted. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/experiment/file.hpp"
#include "launch/experiment/summary.hpp"

namespace lockstep {

struct Judgement {
  enum class Verdict : std::uint8_t { holds, fails, undecided };
  std::string expected, found;
  Verdict verdict = Verdict::undecided;
};
const char* name_of(Judgement::Verdict verdict);

std::vector<Judgement> judge(const Hypothesis& hypothesis, const std::vector<PointSummary>& points);

}  // namespace lockstep
