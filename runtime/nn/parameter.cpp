// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/parameter.hpp"

#include <algorithm>
#include <utility>

#include "runtime/base/philox.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/nn/module.hpp"

namespace lockstep {

namespace {

// The numbers of the rows and columns that `part` keeps, zero in what is padding.
void fill_part(Tensor& value, const Part& part, float deviation, std::uint64_t key) {
  Device& device = value.device();
  kernels::fill(value, 0.0f, device.compute());
  const std::int64_t columns = part.full[1];
  std::int64_t held = 0;
  for (const Range& range : part.kept) {
    expect(part.dim == 0 || range.count() == value.dim(1), "columns are kept in one range");
    const std::int64_t row = part.dim == 0 ? range.begin : 0;
    Tensor rows = part.dim == 0 ? value.slice(held, held + range.count()) : value;
    kernels::fill_normal_part(rows, deviation, key, columns, row, part.dim == 0 ? 0 : range.begin,
                              device.compute());
    held += range.count();
  }
}

thread_local int values_later = 0;

// Its value: now, or later, by what fills it.
void give_value(Parameter& p, Device& device, const Shape& shape,
                std::function<void(Tensor&)> begin) {
  p.value = Tensor::over(device, nullptr, shape, device.numerics().values);
  p.begin = std::move(begin);
  if (values_later == 0) begin_values({&p});
}

}  // namespace

ValuesLater::ValuesLater() {
  ++values_later;
}

ValuesLater::~ValuesLater() {
  --values_later;
}

void move_value(Parameter& p, Tensor memory) {
  if (p.begin) {
    p.begin(memory);
    p.begin = nullptr;
  } else {
    kernels::copy(memory, p.value, memory.device().compute());
  }
  p.value = std::move(memory);
}

void begin_values(const std::vector<Parameter*>& parameters) {
  for (Parameter* p : parameters) {
    if (!p->begin) continue;
    const MemoryScope scope(p->value.device(), MemoryUse::parameters);
    move_value(*p, Tensor::empty(p->value.device(), p->value.shape(), p->value.dtype()));
  }
}

std::shared_ptr<Parameter> make_matrix(Device& device, std::string name, const Shape& shape,
                                       const Init& init, const Part& part) {
  auto p = std::make_shared<Parameter>();
  p->decays = true;
  p->part = part;
  const std::uint64_t key = random_key(init.seed, RandomPurpose::weights, name_hash(name));
  p->name = std::move(name);
  give_value(*p, device, shape, [part, key, deviation = init.deviation](Tensor& value) {
    if (part.whole()) {
      kernels::fill_normal(value, deviation, key, value.device().compute());
    } else {
      fill_part(value, part, deviation, key);
    }
  });
  return p;
}

std::shared_ptr<Parameter> make_vector(Device& device, std::string name, std::int64_t count,
                                       float value, const Part& part) {
  auto p = std::make_shared<Parameter>();
  p->part = part;
  p->name = std::move(name);
  give_value(*p, device, {count},
             [value](Tensor& to) { kernels::fill(to, value, to.device().compute()); });
  return p;
}

std::vector<Parameter*> parameters_of(Module& module) {
  std::vector<Parameter*> all, once;
  module.parameters(all);
  for (Parameter* p : all) {
    if (std::find(once.begin(), once.end(), p) == once.end()) once.push_back(p);
  }
  return once;
}

std::int64_t count_elements(const std::vector<Parameter*>& parameters) {
  std::int64_t count = 0;
  for (const Parameter* p : parameters)
    count += p->value.count();
  return count;
}

void allocate_gradients(const std::vector<Parameter*>& parameters) {
  for (Parameter* p : parameters) {
    Device& device = p->value.device();
    const MemoryScope scope(device, MemoryUse::gradients);
    p->grad = Tensor::empty(device, p->value.shape());
    kernels::fill(p->grad, 0.0f, device.compute());
  }
}

void add_second_use(Parameter& p) {
  if (!p.second_grad) return;
  Stream& stream = p.value.device().compute();
  kernels::add(p.grad, p.second_grad, stream);
  kernels::fill(p.second_grad, 0.0f, stream);
}

std::uint64_t name_hash(const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : name)
    hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

}  // namespace lockstep
