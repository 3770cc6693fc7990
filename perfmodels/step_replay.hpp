// SPDX-License-Identifier: Apache-2.0
// When each record of a recorded step runs, if one knows what each takes alone: the compute stream
// and the communication stream are two queues, in program order, with the edges of the recording
// between them. While both are at work each goes slower by its factor, and a collective begins
// with a delay.
//
// Cost: linear in the records.
#pragma once

#include <vector>

#include "perfmodels/machine/machine.hpp"
#include "runtime/device/recording.hpp"

namespace lockstep {

struct Slowdowns {
  double compute = 1, communication = 1;  // factors on time while the other stream works
  double delay = 0;                       // of a collective as long as kernels are at work
};

// As the profile measured it; 1 where it did not. Where the threads of a rank take all its cores,
// communication has to share them: both take twice as long unless the profile knows how the cores
// are shared, and what communication computes while it takes c times as long is lost to the
// kernels, whose factor is at least c / (c - 1).
Slowdowns slowdowns_of(const Machine& machine);
bool shares_cores(const Machine& machine);

struct Span {
  double begin = 0, end = 0;
};

// `seconds` of each record alone; `late`: how much later than this rank the last one is there
// (skew.hpp), empty: nobody is. A record spans the waiting. Phases span the kernels that belong to
// them, or, without such, the communication.
std::vector<Span> replay(const std::vector<Record>& records, const std::vector<double>& seconds,
                         const Slowdowns& slowdowns, const std::vector<double>& late = {});

}  // namespace lockstep
