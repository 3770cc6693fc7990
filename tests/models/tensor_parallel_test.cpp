// SPDX-License-Identifier: Apache-2.0
// Whole models shared by the ranks of a tensor group against one rank alone: the weights are the
// same bits, losses and gradients the same numbers. Ranks are threads.
#include <algorithm>
#include <cmath>
#include <map>

#include "models/registry.hpp"
#include "parallelism/tensor/vocabulary_loss.hpp"
#include "runtime/device/recording.hpp"
#include "tests/collectives/ranks.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/parts.hpp"
#include "tests/support/tensors.hpp"

using namespace lockstep;

namespace {

constexpr std::int64_t kSamples = 2, kTokens = 5;

// Divisible by the ranks where it must be; not so the vocabulary and the rows.
ModelSection small_model(const std::string& kind, int ranks) {
  ModelSection c;
  c.kind = kind;
  c.layers = 2;
  c.heads = 2 * ranks;
  c.kv_heads = ranks;
  c.hidden = 4 * c.heads;
  c.ffn = 6 * ranks;
  c.sequence = kTokens;
  c.vocabulary = 13;
  c.dropout = 0.2;
  return c;
}

struct Options {
  TensorGroup::Rows rows = TensorGroup::Rows::all;
  Recompute recompute = Recompute::none;
  Stash::WeightGradients when = Stash::WeightGradients::immediate;
};

struct OfParameter {
  test::HeldPart value, gradient;
  GradientSum sum;
};

struct Pass {
  std::vector<float> losses;
  std::map<std::string, OfParameter> parameters;
};

MicroBatch batch_of(const TensorGroup& group) {
  const Range rows = group.rows_of(kSamples * kTokens);
  return {.first_sample = 7,
          .samples = kSamples,
          .tokens = kTokens,
          .first_row = rows.begin,
          .rows = rows.count()};
}

Tensor tokens_of(Device& device, const Shape& shape, int vocabulary, std::uint64_t key) {
  return device.executes() ? test::random_tokens(device, shape, vocabulary, key)
                           : Tensor::empty(device, shape, DType::int32);
}

// Biases and norms start alike: other numbers, by their place in the whole vector, show a wrong
// one.
void make_unlike(Parameter& p) {
  if (p.decays || p.value.values().empty()) return;
  std::vector<Range> kept = p.part.kept;
  if (p.part.whole()) kept = {{0, p.value.count()}};
  std::int64_t at = 0;
  for (const Range& range : kept) {
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      const PhiloxBlock random = philox(name_hash(p.name), static_cast<std::uint64_t>(i));
      p.value.data()[at++] += 0.5f * uniform01(random.word[0]);
    }
  }
}

// One micro-batch through the model on this rank.
Pass pass_of(const ModelSection& config, const Communicator& ranks, Device& device,
             const Options& options) {
  const TensorGroup group(ranks, options.rows);
  Build with{.device = device, .seed = 3, .tensor = group, .recompute = options.recompute};
  const auto model = build(plan_model(config), with);
  const auto parameters = parameters_of(*model);
  allocate_gradients(parameters);
  for (Parameter* p : parameters)
    make_unlike(*p);

  const int V = static_cast<int>(config.vocabulary);
  const Tensor tokens = tokens_of(device, {kSamples, kTokens}, V, 1);
  const Tensor targets = tokens_of(device, {kSamples * kTokens}, V, 2);
  Tensor losses = Tensor::empty(device, {targets.count()});
  Stash stash(batch_of(group), Stash::Mode::training, options.when);
  Tensor logits = model->forward(tokens, stash);
  vocabulary_cross_entropy(losses, logits, targets, 0.1f, group, config.vocabulary);
  model->backward_input(std::move(logits), stash);
  stash.settle();

  Pass pass;
  pass.losses.assign(losses.values().begin(), losses.values().end());
  for (Parameter* p : parameters) {
    add_second_use(*p);
    pass.parameters.emplace(p->name,
                            OfParameter{test::held(*p, p->value), test::held(*p, p->grad), p->sum});
  }
  return pass;
}

Pass alone(const ModelSection& config, const Options& options = {}) {
  const auto device = make_cpu_device();
  return pass_of(config, Communicator::alone(*device), *device, options);
}

std::vector<Pass> together(int ranks, const ModelSection& config, const Options& options) {
  std::vector<Pass> passes(static_cast<std::size_t>(ranks));
  test::on_ranks(ranks, [&](Transport& net) {
    const auto device = make_cpu_device();
    const auto world = Communicator::over(net.split(0, net.rank()), *device);
    passes[static_cast<std::size_t>(net.rank())] = pass_of(config, world, *device, options);
  });
  return passes;
}

double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0, of = 1e-6;
  for (std::size_t i = 0; i < b.size(); ++i) {
    largest = std::max(largest, std::abs(double{a[i]} - b[i]));
    of = std::max(of, std::abs(double{b[i]}));
  }
  return a.size() == b.size() ? largest / of : 1e9;
}

// The gradient of all ranks: parts put together, shares added, copies equal.
std::vector<float> gradient_of(const std::vector<Pass>& ranks, const std::string& name) {
  std::vector<test::HeldPart> parts;
  for (const Pass& pass : ranks)
    parts.push_back(pass.parameters.at(name).gradient);
  std::vector<float> gradient = test::put_together(parts);
  const bool shares = ranks[0].parameters.at(name).sum == GradientSum::over_tensor;
  for (std::size_t r = 1; r < parts.size() && parts[0].part.whole(); ++r) {
    if (!shares) CHECK(parts[r].values == parts[0].values);
    for (std::size_t i = 0; shares && i < gradient.size(); ++i)
      gradient[i] += parts[r].values[i];
  }
  return gradient;
}

void compare(const std::vector<Pass>& ranks, const Pass& serial) {
  for (const Pass& pass : ranks) {
    CHECK(difference(pass.losses, serial.losses) < 1e-5);
    REQUIRE(pass.parameters.size() == serial.parameters.size());
  }
  for (const auto& [name, wanted] : serial.parameters) {
    INFO(name);
    std::vector<test::HeldPart> parts;
    for (const Pass& pass : ranks)
      parts.push_back(pass.parameters.at(name).value);
    CHECK(test::put_together(parts) == wanted.value.values);
    CHECK(difference(gradient_of(ranks, name), wanted.gradient.values) < 2e-4);
  }
}

std::vector<std::string> kinds_to_split() {
  std::vector<std::string> kinds;
  for (const ModelKind& kind : model_table()) {
    if (kind.cuts_layers) kinds.emplace_back(kind.name);
  }
  return kinds;
}

}  // namespace

TEST_CASE("models on a tensor group equal the model on one rank") {
  for (const std::string& kind : kinds_to_split()) {
    for (const int ranks : {2, 3, 4}) {
      for (const bool tied : {true, false}) {
        ModelSection config = small_model(kind, ranks);
        config.tied = tied;
        const Pass serial = alone(config);
        for (const auto rows : {TensorGroup::Rows::all, TensorGroup::Rows::shared}) {
          INFO(kind << " on " << ranks << " ranks, tied " << tied << ", shared rows "
                    << (rows == TensorGroup::Rows::shared));
          compare(together(ranks, config, {.rows = rows}), serial);
        }
      }
    }
  }
}

TEST_CASE("recomputation and deferred weight gradients change no bits") {
  for (const std::string& kind : kinds_to_split()) {
    for (const int ranks : {1, 2}) {
      const ModelSection config = small_model(kind, 2);
      for (const auto rows : {TensorGroup::Rows::all, TensorGroup::Rows::shared}) {
        const auto plain = together(ranks, config, {.rows = rows});
        for (const auto recompute : {Recompute::none, Recompute::selective, Recompute::full}) {
          for (const auto when :
               {Stash::WeightGradients::immediate, Stash::WeightGradients::deferred}) {
            const auto other = together(ranks, config, {rows, recompute, when});
            for (std::size_t r = 0; r < plain.size(); ++r) {
              CHECK(other[r].losses == plain[r].losses);
              for (const auto& [name, wanted] : plain[r].parameters) {
                INFO(kind << " " << name << " recompute " << static_cast<int>(recompute));
                CHECK(other[r].parameters.at(name).gradient.values == wanted.gradient.values);
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("a micro-batch of a whole model sends the sum of what its layers state") {
  constexpr std::int64_t M = kSamples * kTokens;
  for (const std::string& kind : kinds_to_split()) {
    for (const int ranks : {1, 2, 4}) {
      for (const auto rows : {TensorGroup::Rows::all, TensorGroup::Rows::shared}) {
        for (const auto recompute : {Recompute::none, Recompute::selective, Recompute::full}) {
          INFO(kind << " on " << ranks << " ranks, recompute " << static_cast<int>(recompute));
          const ModelSection c = small_model(kind, ranks);
          const auto device = make_dry_device();
          Recording recording;
          device->record_into(&recording);
          pass_of(c, Communicator::dry(*device, ranks, 0), *device, {rows, recompute});
          device->record_into(nullptr);

          // Gathers and reductions of [M,C]: two of each in a block's forward, four and two in its
          // backward; embedding and head. The loss: all-reduces of M and of 2M.
          const std::int64_t again = recompute == Recompute::full ? 2 : 1;
          const std::int64_t gathers = c.layers * (2 * again + 4) + 1 + 2;
          const std::int64_t reduces = c.layers * (2 * again + 2) + 1 + 1;
          const bool shared = rows == TensorGroup::Rows::shared;
          const std::int64_t tensors = shared ? gathers + reduces : 2 * reduces;
          std::int64_t sent = 0;
          for (const Record& r : recording.records()) {
            const bool both = std::string(r.operation.name) == "all_reduce";
            if (r.operation.kind == OperationKind::collective)
              sent += (both ? 2 : 1) * (ranks - 1) * r.operation.shape[0];
          }
          CHECK(sent == (ranks - 1) * (tensors * M * c.hidden + 2 * 3 * M));
        }
      }
    }
  }
}
