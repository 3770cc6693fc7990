// SPDX-License-Identifier: Apache-2.0
#include "parallelism/zero/values.hpp"

namespace lockstep {

namespace {

class WholeValues : public Values {
 public:
  WholeValues(const UnitPlan& plan, const Communicator& data) : units_(plan.units), data_(data) {
    for (const Unit& unit : units_) {
      Device& device = unit.parameters.front()->value.device();
      flat_.push_back(allocate_flat(data_, device, unit.count, MemoryUse::parameters,
                                    unit.parameters.front()->value.dtype()));
      for (std::size_t i = 0; i < unit.parameters.size(); ++i)
        move_value(*unit.parameters[i], view_in(flat_.back(), unit, i));
    }
  }

  Tensor block(std::size_t unit) const override {
    return block_of(flat_[unit], units_[unit], data_.rank());
  }

  void publish() override {
    std::vector<Work> all;
    for (std::size_t u = 0; u < units_.size(); ++u)
      all.push_back(data_.all_gather(flat_[u], block(u), units_[u].blocks));
    for (Work& work : all)
      work.wait();
  }

 private:
  const std::vector<Unit>& units_;
  Communicator data_;
  std::vector<Tensor> flat_;  // one per unit
};

}  // namespace

std::unique_ptr<Values> make_whole_values(const UnitPlan& plan, const Communicator& data) {
  return std::make_unique<WholeValues>(plan, data);
}

}  // namespace lockstep
