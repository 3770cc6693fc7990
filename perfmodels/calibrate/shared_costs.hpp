// SPDX-License-Identifier: Apache-2.0
// What the local steps of collectives cost (links.hpp of collectives says what each is), measured
// again and again by the code that measures them at the start of a job.
#pragma once

#include "collectives/transport.hpp"
#include "perfmodels/calibrate/sampler.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

class SharedCalibration {
 public:
  SharedCalibration(Sampler& sampler, Transport& net);
  SharedProfile profile() const;

 private:
  Sampler& sampler_;
  bool crowded_;
  std::size_t item_;
};

}  // namespace lockstep
