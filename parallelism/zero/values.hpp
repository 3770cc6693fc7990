// SPDX-License-Identifier: Apache-2.0
// Where the values of the parameters are. Each rank updates its block of every unit.
//
//   whole     zero 1, 2   on every rank; after an update every rank gathers what the others
//   updated:
//                         (d-1)/d N elements sent per rank and step
//   gathered  zero 3      a layer's values are gathered before each pass through it, those of the
//                         next layer behind them while this one computes. (d-1)/d N per pass, N
//                         counting twice what two layers use, less the units that a buffer holds
//                         still where passes turn within a step (of equal layers the last two)
#pragma once

#include <memory>

#include "parallelism/zero/units.hpp"

namespace lockstep {

class Values {
 public:
  using Pass = nn::LayerWatcher::Pass;
  virtual ~Values() = default;
  virtual Tensor block(std::size_t unit) const = 0;  // of this rank
  virtual void before(std::size_t /*layer*/, Pass) {}
  virtual void after(std::size_t /*layer*/) {}
  virtual void settle() {}     // the blocks are about to be updated
  virtual void publish() = 0;  // they have been
};

// Collective. The parameters' values move, and lose their old memory.
std::unique_ptr<Values> make_whole_values(const UnitPlan& plan, const Communicator& data);
std::unique_ptr<Values> make_gathered_values(const UnitPlan& plan, const Communicator& data);

}  // namespace lockstep
