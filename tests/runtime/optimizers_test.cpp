// SPDX-License-Identifier: Apache-2.0
// What training asks of every optimizer of the table: ZeRO cuts its pieces anywhere, checkpoints go
// on from its states, gradients are left zeroed, memory is what its line says.
#include <set>
#include <string>

#include "runtime/kernels/elementwise.hpp"
#include "runtime/optim/table.hpp"
#include "runtime/tensor/transfer.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"
#include "tests/support/tensors.hpp"

using namespace lockstep;

namespace {

constexpr std::int64_t kCount = 37, kCut = 11;

// Half the squared distance to 1/4, in pieces that end at kCut or do not.
class Descent {
 public:
  enum class Cut { whole, in_two };

  Descent(Device& device, const OptimizerKind& kind, Cut cut)
      : device_(device),
        value_(test::random_tensor(device, {kCount}, 7)),
        grad_(Tensor::empty(device, {kCount})),
        factor_(test::tensor_of<float>(device, {0.5f}, {1})) {
    kernels::fill(grad_, 0.0f, device.compute());
    std::vector<UpdatePiece> pieces;
    const std::int64_t first = cut == Cut::in_two ? kCut : kCount;
    for (const auto& [begin, end] : {std::pair{std::int64_t{0}, first}, {first, kCount}}) {
      if (begin < end) pieces.push_back({value_.slice(begin, end), grad_.slice(begin, end), true});
    }
    optimizer_ = make_optimizer({.kind = kind.name}, pieces);
    num_pieces_ = pieces.size();
  }

  void run(int steps) {
    for (int s = 0; s < steps; ++s) {
      for (std::int64_t i = 0; i < kCount; ++i)
        grad_.data()[i] = value_.data()[i] - 0.25f;
      optimizer_->step(0.02, factor_);
      device_.compute().synchronize();
    }
  }

  // Values, states and steps of another.
  void go_on_from(const Descent& other) {
    kernels::copy(value_, other.value_, device_.compute());
    const auto to = optimizer_->states(), from = other.optimizer_->states();
    REQUIRE(to.size() == from.size());
    for (std::size_t s = 0; s < to.size(); ++s) {
      for (std::size_t p = 0; p < num_pieces_; ++p) {
        Tensor state = (*to[s].tensors)[p];
        kernels::copy(state, (*from[s].tensors)[p], device_.compute());
      }
    }
    optimizer_->set_steps(other.optimizer_->steps());
  }

  double distance() const {
    double sum = 0;
    for (const float v : read_values<float>(value_))
      sum += (double{v} - 0.25) * (double{v} - 0.25);
    return sum;
  }
  std::vector<float> values() const { return read_values<float>(value_); }
  std::vector<float> gradients() const { return read_values<float>(grad_); }
  const Optimizer& optimizer() const { return *optimizer_; }
  std::size_t num_pieces() const { return num_pieces_; }

 private:
  Device& device_;
  Tensor value_, grad_, factor_;
  std::unique_ptr<Optimizer> optimizer_;
  std::size_t num_pieces_ = 0;
};

using Cut = Descent::Cut;

}  // namespace

TEST_CASE("every optimizer comes nearer to a minimum and leaves gradients zeroed") {
  const auto device = make_cpu_device();
  for (const OptimizerKind* kind : optimizer_kinds()) {
    INFO(kind->name);
    Descent descent(*device, *kind, Cut::whole);
    const double before = descent.distance();
    descent.run(20);
    CHECK(descent.distance() < 0.9 * before);
    CHECK(descent.gradients() == std::vector<float>(kCount, 0.0f));
  }
}

TEST_CASE("every optimizer gives the same bits however its pieces are cut, as ZeRO does") {
  const auto device = make_cpu_device();
  for (const OptimizerKind* kind : optimizer_kinds()) {
    INFO(kind->name);
    Descent whole(*device, *kind, Cut::whole), cut(*device, *kind, Cut::in_two);
    whole.run(5);
    cut.run(5);
    CHECK(whole.values() == cut.values());
  }
}

TEST_CASE("every optimizer goes on from its states and steps with the same bits") {
  const auto device = make_cpu_device();
  for (const OptimizerKind* kind : optimizer_kinds()) {
    INFO(kind->name);
    Descent undisturbed(*device, *kind, Cut::in_two), resumed(*device, *kind, Cut::in_two);
    undisturbed.run(3);
    resumed.go_on_from(undisturbed);
    undisturbed.run(3);
    resumed.run(3);
    CHECK(resumed.values() == undisturbed.values());
  }
}

TEST_CASE("every optimizer keeps as many states as its line says, each of the pieces' counts") {
  const auto device = make_cpu_device();
  for (const OptimizerKind* kind : optimizer_kinds()) {
    INFO(kind->name);
    const Descent descent(*device, *kind, Cut::in_two);
    std::set<std::string> names;
    for (const OptimizerState& state : descent.optimizer().states()) {
      names.insert(state.kind);
      REQUIRE(state.tensors->size() == descent.num_pieces());
      CHECK(state.tensors->front().count() == kCut);
      CHECK(state.tensors->back().count() == kCount - kCut);
    }
    CHECK(names.size() == static_cast<std::size_t>(kind->states));
  }
}

TEST_CASE("an optimizer that is not in the table is refused with those that are") {
  const std::string said = test::config_error([] { find_optimizer_kind("adagrad"); });
  for (const OptimizerKind* kind : optimizer_kinds())
    CHECK_THAT(said, ContainsSubstring(kind->name));
}
