// SPDX-License-Identifier: Apache-2.0
#include "parallelism/zero/gradients.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

class TransientGradients : public Gradients {
 public:
  TransientGradients(const UnitPlan& plan, const Communicator& data, std::int64_t micro_batches)
      : units_(plan.units),
        owned_by_(units_of_layers(plan, Whose::owned)),
        kept_(kept_blocks(plan.units, data.rank())),
        uses_(plan.units, 1),
        micro_batches_(micro_batches),
        data_(data) {
    const SharedBuffers shared = share_buffers(plan, Whose::owned);
    buffer_of_ = shared.of_unit;
    Device& device = units_.front().parameters.front()->value.device();
    for (const std::int64_t count : shared.counts)
      buffers_.push_back({.flat = allocate_flat(data_, device, count, MemoryUse::buffers)});
    const auto count = static_cast<std::int64_t>(kept_.back().begin + kept_.back().count);
    const MemoryScope scope(device, MemoryUse::gradients);
    mine_ = Tensor::empty(device, {count});  // never travels, except in earlier sums
    kernels::fill(mine_, 0.0f, device.compute());
    for (std::size_t u = 0; u < units_.size(); ++u)
      release(u);
  }

  Tensor block(std::size_t unit) const override {
    const Block kept = kept_[unit];
    return mine_.slice(static_cast<std::int64_t>(kept.begin),
                       static_cast<std::int64_t>(kept.begin + kept.count));
  }

  void before(std::size_t layer) override {
    for (const std::size_t u : owned_by_[layer]) {
      Buffer& buffer = buffers_[buffer_of_[u]];
      expect(!buffer.open, "gradients of a layer were not complete when its backward was done");
      keep_sum(buffer);
      buffer.unit = u;
      buffer.open = true;
      Tensor flat = whole(u);
      kernels::fill(flat, 0.0f, flat.device().compute());
      for (std::size_t i = 0; i < units_[u].parameters.size(); ++i)
        units_[u].parameters[i]->grad = view_in(flat, units_[u], i);
    }
  }

  void ready(Parameter& parameter) override {
    const auto u = uses_.count(parameter);
    if (!u) return;
    Buffer& buffer = buffers_[buffer_of_[*u]];
    expect(buffer.open && buffer.unit == *u, "a gradient came before the backward of its layer");
    buffer.open = false;
    release(*u);
    ++num_sums_;
    const Tensor flat = whole(*u);
    Tensor sum = block_of(flat, units_[*u], data_.rank());
    buffer.sum = data_.reduce_scatter(sum, flat, ReduceOp::sum, units_[*u].blocks);
  }

  void finish() override {
    for (Buffer& buffer : buffers_)
      keep_sum(buffer);
    const auto expected = static_cast<std::int64_t>(units_.size()) * micro_batches_;
    expect(uses_.between() && std::exchange(num_sums_, 0) == expected,
           "backward left a gradient out");
    sum_earlier();
  }

 private:
  struct Buffer {
    Tensor flat;
    std::size_t unit = 0;  // the last one in it
    bool open = false;     // backward adds to it
    std::optional<Work> sum{};
  };

  Tensor whole(std::size_t unit) const {
    return buffers_[buffer_of_[unit]].flat.slice(0, units_[unit].count);
  }

  void keep_sum(Buffer& buffer) {
    if (!buffer.sum) return;
    buffer.sum->wait();
    buffer.sum.reset();
    Tensor kept = block(buffer.unit);
    kernels::add(kept, block_of(buffer.flat, units_[buffer.unit], data_.rank()),
                 kept.device().compute());
  }

  // Units of one group lie side by side: one sum for all of them.
  void sum_earlier() {
    for (std::size_t u = 0; u < units_.size();) {
      const auto& group = units_[u].earlier;
      const auto begin = static_cast<std::int64_t>(kept_[u].begin);
      std::int64_t end = begin;
      for (const std::size_t first = u; u < units_.size() && same(units_[first], units_[u]); ++u)
        end = static_cast<std::int64_t>(kept_[u].begin + kept_[u].count);
      Tensor blocks = mine_.slice(begin, end);
      if (group) group->all_reduce(blocks, ReduceOp::sum).wait();
    }
  }

  static bool same(const Unit& a, const Unit& b) {
    if (!a.earlier || !b.earlier) return !a.earlier && !b.earlier;
    return a.earlier->name() == b.earlier->name();
  }

  void release(std::size_t u) {
    for (Parameter* p : units_[u].parameters)
      p->grad = Tensor::over(p->value.device(), nullptr, p->value.shape());
  }

  const std::vector<Unit>& units_;
  std::vector<std::vector<std::size_t>> owned_by_;  // units of each layer
  std::vector<Block> kept_;                         // of each unit, in mine_
  Uses uses_;
  std::int64_t micro_batches_, num_sums_ = 0;
  Communicator data_;
  std::vector<std::size_t> buffer_of_;
  std::vector<Buffer> buffers_;
  Tensor mine_;
};

}  // namespace

std::unique_ptr<Gradients> make_transient_gradients(const UnitPlan& plan, const Communicator& data,
                                                    std::int64_t micro_batches) {
  return std::make_unique<TransientGradients>(plan, data, micro_batches);
}

}  // namespace lockstep
