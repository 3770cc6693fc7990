// SPDX-License-Identifier: Apache-2.0
#include "parallelism/zero/gradients.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

Uses::Uses(const std::vector<Unit>& units, std::int64_t micro_batches) : units_(units) {
  for (std::size_t u = 0; u < units.size(); ++u) {
    std::int64_t uses = 0;
    for (const Parameter* p : units[u].parameters) {
      uses += p->uses;
      unit_of_[p] = u;
    }
    all_.push_back(uses * micro_batches);
  }
  missing_ = all_;
}

std::optional<std::size_t> Uses::count(const Parameter& parameter) {
  const std::size_t u = unit_of_.at(&parameter);
  if (--missing_[u] > 0) return std::nullopt;
  missing_[u] = all_[u];
  for (Parameter* p : units_[u].parameters)
    add_second_use(*p);
  return u;
}

namespace {

class WholeGradients : public Gradients {
 public:
  WholeGradients(const UnitPlan& plan, const Communicator& data, std::int64_t micro_batches)
      : units_(plan.units), uses_(plan.units, micro_batches), data_(data) {
    for (const Unit& unit : units_) {
      Device& device = unit.parameters.front()->value.device();
      flat_.push_back(allocate_flat(data_, device, unit.count, MemoryUse::gradients));
      for (std::size_t i = 0; i < unit.parameters.size(); ++i)
        unit.parameters[i]->grad = view_in(flat_.back(), unit, i);
    }
    sums_.resize(units_.size());
  }

  Tensor block(std::size_t unit) const override {
    return block_of(flat_[unit], units_[unit], data_.rank());
  }

  void ready(Parameter& parameter) override {
    const auto unit = uses_.count(parameter);
    if (!unit) return;
    expect(!sums_[*unit], "a gradient was produced more often than its parameter says");
    Tensor sum = block(*unit);
    sums_[*unit] = data_.reduce_scatter(sum, flat_[*unit], ReduceOp::sum, units_[*unit].blocks);
  }

  void finish() override {
    expect(uses_.between(), "backward left a gradient out");
    for (std::size_t u = 0; u < units_.size(); ++u) {
      expect(sums_[u].has_value(), "backward left a gradient out");
      sums_[u]->wait();
      Tensor sum = block(u);
      if (units_[u].earlier) units_[u].earlier->all_reduce(sum, ReduceOp::sum).wait();
    }
    for (std::size_t u = 0; u < units_.size(); ++u) {
      sums_[u].reset();
      clear_others(u);
    }
  }

 private:
  // The update leaves this rank's block zeroed, and only that.
  void clear_others(std::size_t u) {
    const Block mine = units_[u].blocks[data_.rank()];
    const auto begin = static_cast<std::int64_t>(mine.begin);
    const std::int64_t end = begin + static_cast<std::int64_t>(mine.count);
    Tensor before = flat_[u].slice(0, begin), behind = flat_[u].slice(end, units_[u].count);
    for (Tensor* other : {&before, &behind})
      if (other->count() > 0) kernels::fill(*other, 0.0f, other->device().compute());
  }

  const std::vector<Unit>& units_;
  Uses uses_;
  Communicator data_;
  std::vector<Tensor> flat_;               // one per unit
  std::vector<std::optional<Work>> sums_;  // under way
};

}  // namespace

std::unique_ptr<Gradients> make_whole_gradients(const UnitPlan& plan, const Communicator& data,
                                                std::int64_t micro_batches) {
  return std::make_unique<WholeGradients>(plan, data, micro_batches);
}

}  // namespace lockstep
