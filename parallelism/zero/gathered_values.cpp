// SPDX-License-Identifier: Apache-2.0
#include "parallelism/zero/values.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

class GatheredValues : public Values {
 public:
  GatheredValues(const UnitPlan& plan, const Communicator& data)
      : units_(plan.units),
        used_by_(units_of_layers(plan, Whose::used)),
        kept_(kept_blocks(plan.units, data.rank())),
        data_(data) {
    const SharedBuffers shared = share_buffers(plan, Whose::used);
    buffer_of_ = shared.of_unit;
    Device& device = units_.front().parameters.front()->value.device();
    const DType dtype = units_.front().parameters.front()->value.dtype();
    for (const std::int64_t count : shared.counts)
      buffers_.push_back({.flat = allocate_flat(data_, device, count, MemoryUse::buffers, dtype)});
    mine_ = allocate_flat(data_, device, room(), MemoryUse::parameters, dtype);
    for (std::size_t u = 0; u < units_.size(); ++u)
      keep_block(u, device);
  }

  Tensor block(std::size_t unit) const override {
    const Block kept = kept_[unit];
    return mine_.slice(static_cast<std::int64_t>(kept.begin),
                       static_cast<std::int64_t>(kept.begin + kept.count));
  }

  void before(std::size_t layer, Pass pass) override {
    gather(layer);
    const bool last = pass == Pass::forward ? layer + 1 == used_by_.size() : layer == 0;
    if (!last) gather(pass == Pass::forward ? layer + 1 : layer - 1);
    for (const std::size_t u : used_by_[layer])
      arrive(buffers_[buffer_of_[u]]);
    for (const std::size_t u : used_by_[layer]) {
      for (std::size_t i = 0; i < units_[u].parameters.size(); ++i)
        units_[u].parameters[i]->value = view_in(whole(u), units_[u], i);
    }
  }

  void after(std::size_t layer) override {
    for (const std::size_t u : used_by_[layer])
      release(u);
  }

  // Other ranks may be reading the blocks still, for a pass that this one did not make.
  void settle() override {
    for (Buffer& buffer : buffers_)
      arrive(buffer);
  }

  void publish() override {
    for (Buffer& buffer : buffers_)
      buffer.holds = kNone;
  }

 private:
  struct Buffer {
    Tensor flat;
    std::size_t holds = kNone;  // unit
    std::optional<Work> on_its_way{};
  };

  // As much on every rank: memory of the group.
  std::int64_t room() const {
    std::size_t count = 0;
    for (const Unit& unit : units_)
      count += unit.blocks.largest();
    return static_cast<std::int64_t>(count);
  }

  Tensor whole(std::size_t unit) const {
    return buffers_[buffer_of_[unit]].flat.slice(0, units_[unit].count);
  }

  // The initial values pass through the buffer.
  void keep_block(std::size_t u, Device& device) {
    const Unit& unit = units_[u];
    Tensor flat = whole(u), to = block(u);
    kernels::fill(flat, 0.0f, device.compute());
    for (std::size_t i = 0; i < unit.parameters.size(); ++i)
      move_value(*unit.parameters[i], view_in(flat, unit, i));
    kernels::copy(to, block_of(flat, unit, data_.rank()), device.compute());
    release(u);
  }

  void gather(std::size_t layer) {
    for (const std::size_t u : used_by_[layer]) {
      Buffer& buffer = buffers_[buffer_of_[u]];
      if (buffer.holds == u) continue;
      buffer.holds = u;
      Tensor flat = whole(u);
      buffer.on_its_way = data_.all_gather(flat, block(u), units_[u].blocks);
    }
  }

  static void arrive(Buffer& buffer) {
    if (buffer.on_its_way) buffer.on_its_way->wait();
    buffer.on_its_way.reset();
  }

  void release(std::size_t u) {
    for (Parameter* p : units_[u].parameters)
      p->value = nowhere(p->value);
  }

  const std::vector<Unit>& units_;
  std::vector<std::vector<std::size_t>> used_by_;  // units of each layer
  std::vector<Block> kept_;                        // of each unit, in mine_
  Communicator data_;
  std::vector<std::size_t> buffer_of_;
  std::vector<Buffer> buffers_;
  Tensor mine_;
};

}  // namespace

std::unique_ptr<Values> make_gathered_values(const UnitPlan& plan, const Communicator& data) {
  return std::make_unique<GatheredValues>(plan, data);
}

}  // namespace lockstep
