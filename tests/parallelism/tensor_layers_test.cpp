// SPDX-License-Identifier: Apache-2.0
// The layers of a tensor group by themselves: gradients on one rank against finite differences,
// what they send against what their headers state, and what runs behind what. Many ranks against
// one: tests/models.
#include <functional>
#include <string>

#include "parallelism/tensor/attention.hpp"
#include "parallelism/tensor/vocabulary_embedding.hpp"
#include "parallelism/tensor/vocabulary_head.hpp"
#include "parallelism/tensor/vocabulary_loss.hpp"
#include "runtime/device/recording.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/rotary.hpp"
#include "tests/parallelism/counted_calls.hpp"
#include "tests/support/gradient_check.hpp"

using namespace lockstep;
using test::random_tensor;
using test::sent;
using Rows = TensorGroup::Rows;

namespace {

constexpr Init kInit{.seed = 3, .deviation = 0.4f};

TensorGroup alone(Device& device) {
  return {Communicator::alone(device), Rows::all};
}

// What one pass of a layer gives to gather and to reduce, in elements of the full tensors.
struct Volume {
  std::int64_t gathered, reduced;
};

std::int64_t stated(const Volume& v, Rows rows, std::int64_t ranks) {
  const bool shared = rows == Rows::shared;
  return (ranks - 1) * (shared ? v.gathered + v.reduced : 2 * v.reduced);
}

constexpr std::int64_t kSamples = 2, kTokens = 9, kRows = kSamples * kTokens;  // B, T, M

struct Case {
  const char* name;
  std::function<std::unique_ptr<Module>(Device&, const TensorGroup&)> make;
  std::int64_t columns;  // of the input; 0: tokens
  bool all_rows;         // the input has all rows on every rank
  Volume forward, backward, deferred;
};

// I or C 12, O or F 24, V 13.
const Case kCases[] = {
    {"ColumnLinear",
     [](Device& d, const TensorGroup& g) {
       return std::make_unique<ColumnLinear>(d, g, "column", 12, std::vector<std::int64_t>{12, 12},
                                             kInit, nn::Bias::zero);
     },
     12,
     false,
     {12 * kRows, 0},
     {12 * kRows, 12 * kRows},
     {0, 12 * kRows}},
    {"RowLinear",
     [](Device& d, const TensorGroup& g) {
       return std::make_unique<RowLinear>(d, g, "row", 12, 24, kInit, nn::Bias::zero);
     },
     12,
     true,
     {0, 24 * kRows},
     {24 * kRows, 0},
     {24 * kRows, 0}},
    {"TensorAttention",
     [](Device& d, const TensorGroup& g) {
       const AttentionOptions options{.channels = 12, .heads = 12, .kv_heads = 12};
       return std::make_unique<TensorAttention>(d, g, "attention", options, kInit);
     },
     12,
     false,
     {12 * kRows, 12 * kRows},
     {24 * kRows, 12 * kRows},
     {12 * kRows, 12 * kRows}},
    {"VocabularyEmbedding",
     [](Device& d, const TensorGroup& g) {
       const EmbeddingOptions options{.vocabulary = 13, .channels = 12, .positions = kTokens};
       return std::make_unique<VocabularyEmbedding>(d, g, "embedding", options, kInit);
     },
     0,
     true,
     {0, 12 * kRows},
     {12 * kRows, 0},
     {12 * kRows, 0}},
    {"VocabularyHead",
     [](Device& d, const TensorGroup& g) {
       return make_head(g, make_vocabulary_matrix(d, g, "head", 13, 12, kInit));
     },
     12,
     false,
     {12 * kRows, 0},
     {12 * kRows, 12 * kRows},
     {0, 12 * kRows}},
};

MicroBatch batch_of(const TensorGroup& group) {
  const Range rows = group.rows_of(kRows);
  return {.samples = kSamples, .tokens = kTokens, .first_row = rows.begin, .rows = rows.count()};
}

Tensor input_of(const Case& c, const TensorGroup& group, Device& device) {
  if (c.columns == 0) return test::random_tokens(device, {kSamples, kTokens}, 13, 4);
  if (!c.all_rows) return random_tensor(device, {batch_of(group).rows, c.columns}, 4);
  return random_tensor(device, {kRows, c.columns / group.size()}, 4);
}

// What one rank saw of a forward and of a backward pass, and of gradients that came later.
struct Passes {
  std::int64_t forward, backward, settled;
  bool operator==(const Passes&) const = default;
};

Passes counted(Module& layer, const Tensor& x, const TensorGroup& group, test::CountedCalls& calls,
               Stash::WeightGradients when) {
  const std::int64_t ranks = group.size();
  Stash stash(batch_of(group), Stash::Mode::training, when);
  calls.take();
  Tensor y = layer.forward(x, stash);
  const std::int64_t forward = sent(calls.take(), ranks);
  layer.backward_input(std::move(y), stash);
  const std::int64_t backward = sent(calls.take(), ranks);
  stash.settle();
  return {forward, backward, sent(calls.take(), ranks)};
}

}  // namespace

TEST_CASE("layers send what their headers state, exactly, as the flight recorder saw it") {
  for (const Case& c : kCases) {
    for (const int ranks : {1, 2, 3, 4}) {
      for (const Rows rows : {Rows::all, Rows::shared}) {
        std::vector<Passes> at_once(static_cast<std::size_t>(ranks)), later(at_once);
        test::on_counted_ranks(
            ranks, [&](const Communicator& world, Device& device, test::CountedCalls& calls) {
              const TensorGroup group(world, rows);
              const auto me = static_cast<std::size_t>(world.rank());
              const auto layer = c.make(device, group);
              allocate_gradients(parameters_of(*layer));
              const Tensor x = input_of(c, group, device);
              at_once[me] = counted(*layer, x, group, calls, Stash::WeightGradients::immediate);
              later[me] = counted(*layer, x, group, calls, Stash::WeightGradients::deferred);
            });
        INFO(c.name << " on " << ranks << " ranks, shared rows " << (rows == Rows::shared));
        const std::int64_t forward = stated(c.forward, rows, ranks);
        const std::int64_t backward = stated(c.backward, rows, ranks);
        const std::int64_t deferred = stated(c.deferred, rows, ranks);
        for (std::size_t r = 0; r < at_once.size(); ++r) {
          CHECK(at_once[r] == Passes{forward, backward, 0});
          CHECK(later[r] == Passes{forward, deferred, backward - deferred});
        }
      }
    }
  }
}

TEST_CASE("what a layer adds to a residual has the bits of a sum behind it, and sends no more") {
  for (const Case& c : kCases) {
    for (const int ranks : {1, 2, 3}) {
      for (const Rows rows : {Rows::all, Rows::shared}) {
        INFO(c.name << " on " << ranks << " ranks, shared rows " << (rows == Rows::shared));
        std::vector<float> differences(static_cast<std::size_t>(ranks), 1);
        std::vector<std::int64_t> elements(differences.size());
        test::on_counted_ranks(
            ranks, [&](const Communicator& world, Device& device, test::CountedCalls& calls) {
              const TensorGroup group(world, rows);
              const auto me = static_cast<std::size_t>(world.rank());
              const auto layer = c.make(device, group);
              const Tensor x = input_of(c, group, device);
              Stash stash(batch_of(group), Stash::Mode::inference);
              Tensor wanted = layer->forward(x, stash);
              const Tensor residual = random_tensor(device, wanted.shape(), 7);
              kernels::add(wanted, residual, device.compute());
              calls.take();
              const Tensor y = layer->forward_onto(residual, x, stash);
              elements[me] = sent(calls.take(), ranks);
              differences[me] = test::largest_difference(y, wanted);
            });
        for (std::size_t r = 0; r < differences.size(); ++r) {
          CHECK(differences[r] == 0);
          CHECK(elements[r] == stated(c.forward, rows, ranks));
        }
      }
    }
  }
}

TEST_CASE("the loss sends three numbers a row and holds no full logits") {
  const std::int64_t M = 64, V = 4000;
  std::vector<std::int64_t> elements(4);
  std::vector<std::size_t> taken(4);
  test::on_counted_ranks(
      4, [&](const Communicator& world, Device& device, test::CountedCalls& calls) {
        const TensorGroup group(world, Rows::all);
        const auto me = static_cast<std::size_t>(world.rank());
        Tensor logits = random_tensor(device, {M, V / 4}, 5), losses = Tensor::empty(device, {M});
        const Tensor targets = test::random_tokens(device, {M}, V, 6);
        device.reset_peak();
        const std::size_t before = device.memory().allocated;
        calls.take();
        vocabulary_cross_entropy(losses, logits, targets, 1.0f, group, V);
        elements[me] = sent(calls.take(), 4);
        taken[me] = device.memory().peak - before;
      });
  for (std::size_t r = 0; r < elements.size(); ++r) {
    CHECK(elements[r] == 2 * 3 * (3 * M));
    CHECK(taken[r] <= 8 * sizeof(float) * static_cast<std::size_t>(M));
  }
}

TEST_CASE("the weight gradient of a column-parallel layer waits for no sum") {
  const auto device = make_dry_device();
  const TensorGroup group(Communicator::dry(*device, 2, 0), Rows::shared);
  ColumnLinear layer(*device, group, "column", 4, {8}, kInit, nn::Bias::none);
  allocate_gradients(parameters_of(layer));
  Stash stash(batch_of(group));
  Tensor y = layer.forward(Tensor::empty(*device, {kRows / 2, 4}), stash);
  Recording recording;
  device->record_into(&recording);
  layer.backward_input(std::move(y), stash);
  device->record_into(nullptr);

  const auto index_of = [&](const std::string& name) {
    for (std::size_t i = 0; i < recording.records().size(); ++i) {
      if (recording.records()[i].operation.name == name) return static_cast<int>(i);
    }
    return -1;
  };
  const int gather = index_of("all_gather"), dx = index_of("linear_backward_input");
  const int sum = index_of("reduce_scatter"), dw = index_of("linear_backward_weight");
  REQUIRE((0 <= gather && gather < dx && dx < sum && sum < dw));
  CHECK(recording.records()[static_cast<std::size_t>(dx)].after == -1);
  CHECK(recording.records()[static_cast<std::size_t>(dw)].after == gather);
}

TEST_CASE("attention passes the gradient check at odd sizes, every policy alike") {
  const auto device = make_cpu_device();
  struct Shape {
    std::int64_t batch, tokens, heads, kv_heads, channels;
  };
  for (const Shape s : {Shape{1, 1, 1, 1, 2}, Shape{2, 7, 3, 3, 18}, Shape{1, 65, 4, 2, 8},
                        Shape{1, 131, 1, 1, 6}}) {
    for (const bool rotates : {false, true}) {
      INFO("tokens " << s.tokens << " rotary " << rotates);
      AttentionOptions options{.channels = s.channels,
                               .heads = s.heads,
                               .kv_heads = s.kv_heads,
                               .dropout = rotates ? 0.3f : 0.0f,
                               .projection_deviation = 0.4f};
      options.recompute = rotates ? Recompute::selective : Recompute::none;
      if (rotates) {
        options.rotary = Tensor::empty(*device, {s.tokens, s.channels / s.heads});
        kernels::rotary_table(options.rotary, 10000, device->compute());
      }
      TensorAttention layer(*device, alone(*device), "attention", options, kInit);
      test::check_gradients(layer, random_tensor(*device, {s.batch * s.tokens, s.channels}, 5),
                            test::micro_batch(s.batch, s.tokens));
    }
  }
}

TEST_CASE("selective recomputation keeps the input and qkv of attention, and nothing else") {
  const auto device = make_dry_device();
  const TensorGroup group(Communicator::dry(*device, 2, 0), Rows::all);
  const auto kept = [&](Recompute recompute) {
    const AttentionOptions options{
        .channels = 12, .heads = 4, .kv_heads = 4, .recompute = recompute};
    TensorAttention layer(*device, group, "attention", options, kInit);
    const std::size_t before = device->memory().allocated;
    Stash stash(batch_of(group));
    layer.forward(Tensor::empty(*device, {kRows, 12}), stash);
    return device->memory().allocated - before;
  };
  const std::size_t number = kRows * sizeof(float), log_sums = 2 * number;
  CHECK(kept(Recompute::selective) == (12 + 18) * number);
  CHECK(kept(Recompute::none) == (12 + 18 + 6) * number + log_sums);
}

TEST_CASE("embeddings pass the gradient check, with positions and without") {
  const auto device = make_cpu_device();
  const Tensor tokens = test::random_tokens(*device, {3, 5}, 7, 6);  // tokens repeat
  for (const std::int64_t positions : {0, 6}) {
    const EmbeddingOptions options{
        .vocabulary = 7, .channels = 4, .positions = positions, .dropout = 0.4f};
    VocabularyEmbedding layer(*device, alone(*device), "embedding", options, kInit);
    test::check_gradients(layer, tokens, test::micro_batch(3, 5));
  }
}

TEST_CASE("a vocabulary is cut into equal parts, the last of which may hold less or nothing") {
  const auto device = make_dry_device();
  const auto rows = [&](std::int64_t vocabulary, int ranks, int rank) {
    const TensorGroup group(Communicator::dry(*device, ranks, rank), Rows::all);
    CHECK(padded_rows(vocabulary, group) * ranks >= vocabulary);
    return vocabulary_rows(vocabulary, group);
  };
  CHECK(rows(13, 4, 0) == Range{0, 4});
  CHECK(rows(13, 4, 3) == Range{12, 13});
  CHECK(rows(5, 4, 2) == Range{4, 5});
  CHECK(rows(5, 4, 3) == Range{5, 5});
}
