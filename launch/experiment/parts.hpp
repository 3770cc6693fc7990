// SPDX-License-Identifier: Apache-2.0
// Where the time of a step goes, in the same few parts for what was predicted and what was
// measured.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "perfmodels/step_time.hpp"
#include "perfmodels/validate/measured_trace.hpp"

namespace lockstep {

enum class StepPart : std::uint8_t { computing, optimizer, communication, waiting, bubble, other };
inline constexpr std::size_t kNumParts = 6;

const char* name_of(StepPart part);   // "communication", as files and hypotheses have it
const char* title_of(StepPart part);  // "exposed communication", as people read it

// Seconds of a step, the mean over the ranks; together the step.
struct StepParts {
  std::array<double, kNumParts> seconds{};
  double& operator[](StepPart part) { return seconds[static_cast<std::size_t>(part)]; }
  double operator[](StepPart part) const { return seconds[static_cast<std::size_t>(part)]; }
  double total() const;
};

StepParts parts_of(const Breakdown& predicted);

// Of the steps of a trace. Computing and optimizer: kernels outside and inside the phase "update".
// Communication: collectives while no kernel of the rank runs, and of each only as much as the rank
// that came last took, for which nobody was late; the others wait until then. Of messages between
// the stages of a pipeline only as much as the fastest of their kind took; the rest of them is the
// bubble. Other: what is left of the step. No clocks are compared.
StepParts parts_of(const MeasuredTrace& trace);

}  // namespace lockstep
