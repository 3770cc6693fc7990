// SPDX-License-Identifier: Apache-2.0
// A trainable tensor and its gradient. The gradient is a view into a communication bucket; whoever
// trains lays it out (GradientBuckets, or allocate_gradients for one rank).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/tensor/tensor.hpp"

namespace lockstep {

class Module;

struct Range {
  std::int64_t begin = 0, end = 0;
  std::int64_t count() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

// What this rank holds of a parameter that the tensor axis cuts: ranges of one dim of the full one,
// in the order in which they lie here; behind them padding, which stays zero. No ranges: all of it.
struct Part {
  Shape full{};
  int dim = 0;
  std::vector<Range> kept{};
  bool whole() const { return kept.empty(); }
};

// Whether backward leaves a gradient complete, or each rank of the tensor axis with its share of
// the sum (sequence parallelism: each has seen a share of the rows).
enum class GradientSum : std::uint8_t { complete, over_tensor };

struct Parameter {
  std::string name;  // unique in the model: "blocks.3.attention.qkv.weight"
  Tensor value;      // of the type that the device computes in
  // Fills memory with the numbers it starts with; empty once the value has memory.
  std::function<void(Tensor&)> begin{};
  Tensor grad{};        // same shape, float32; backward_weight adds to it
  bool decays = false;  // weight decay applies: matrices, not biases and norms
  // How often one backward pass adds to the gradient. A second user (tied embeddings) adds to
  // `second_grad`: so the order of the sum is the same where the users are on different ranks.
  int uses = 1;
  Tensor second_grad{};
  Part part{};
  GradientSum sum = GradientSum::complete;
};

// grad += second_grad, which is zero then. Nothing without a second user.
void add_second_use(Parameter& parameter);

// How a parameter starts: normal numbers keyed by (seed, name), so that every layout has the same.
struct Init {
  std::uint64_t seed = 0;
  float deviation = 0.02f;
};

// While there is one on this thread, values are made without memory, for who lays them out: so a
// model that is cut over ranks need not fit whole into the memory of one.
class ValuesLater {
 public:
  ValuesLater();
  ~ValuesLater();
  ValuesLater(const ValuesLater&) = delete;
  ValuesLater& operator=(const ValuesLater&) = delete;
};

// Points the value into `memory`, of its shape and type, with the numbers it has or starts with.
void move_value(Parameter& parameter, Tensor memory);
// Memory of its own for each value that has none yet.
void begin_values(const std::vector<Parameter*>& parameters);

// `shape` is what this rank holds, of `part`: its numbers are those of the full matrix.
std::shared_ptr<Parameter> make_matrix(Device& device, std::string name, const Shape& shape,
                                       const Init& init, const Part& part = {});
std::shared_ptr<Parameter> make_vector(Device& device, std::string name, std::int64_t count,
                                       float value,  // constant; does not decay
                                       const Part& part = {});

// Every parameter once, in the order in which forward uses them first.
std::vector<Parameter*> parameters_of(Module& module);
std::int64_t count_elements(const std::vector<Parameter*>& parameters);
void allocate_gradients(const std::vector<Parameter*>& parameters);  // zeroed, each its own

// FNV-1a: the stable number of a name in random keys.
std::uint64_t name_hash(const std::string& name);

}  // namespace lockstep
