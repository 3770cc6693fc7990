// SPDX-License-Identifier: Apache-2.0
// Where gradients are while backward adds to them, and who keeps their sums: each rank its block of
// every unit.
//
//   whole      zero 1     a unit is reduce_scattered once, when the step's last gradient of it is
//                         ready, while backward goes on: (d-1)/d N elements sent per rank and step
//   transient  zero 2, 3  a layer has gradients while backward passes through it; they are
//                         reduce_scattered and added to the block: (d-1)/d N per micro-batch
//
// Earlier sums come last here: of the blocks, in finish(). The sum is the same, and 1/d of it
// moves.
#pragma once

#include <memory>
#include <unordered_map>

#include "parallelism/zero/units.hpp"

namespace lockstep {

class Gradients {
 public:
  virtual ~Gradients() = default;
  virtual Tensor block(std::size_t unit) const = 0;  // of this rank
  virtual void before(std::size_t /*layer*/) {}      // its backward
  virtual void ready(Parameter& parameter) = 0;
  virtual void finish() = 0;
};

// Counts the uses of parameters until their unit is complete.
class Uses {
 public:
  Uses(const std::vector<Unit>& units, std::int64_t micro_batches);
  // The unit, if this use was its last one: then second uses are added, and counting begins anew.
  std::optional<std::size_t> count(const Parameter& parameter);
  bool between() const { return missing_ == all_; }  // no unit has begun

 private:
  const std::vector<Unit>& units_;
  std::vector<std::int64_t> all_, missing_;
  std::unordered_map<const Parameter*, std::size_t> unit_of_;
};

// Collective. The parameters' gradients move.
std::unique_ptr<Gradients> make_whole_gradients(const UnitPlan& plan, const Communicator& data,
                                                std::int64_t micro_batches);
std::unique_ptr<Gradients> make_transient_gradients(const UnitPlan& plan, const Communicator& data,
                                                    std::int64_t micro_batches);

}  // namespace lockstep
