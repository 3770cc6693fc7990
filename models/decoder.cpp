// SPDX-License-Identifier: Apache-2.0
#include "models/decoder.hpp"

#include <cmath>
#include <numeric>

#include "parallelism/tensor/attention.hpp"
#include "parallelism/tensor/vocabulary_embedding.hpp"
#include "parallelism/tensor/vocabulary_head.hpp"
#include "runtime/kernels/rotary.hpp"
#include "runtime/nn/recompute.hpp"
#include "runtime/nn/residual.hpp"

namespace lockstep {

namespace {

constexpr float kDeviation = 0.02f;

using Layers = std::vector<std::unique_ptr<Module>>;

// ConfigError unless a tensor group of this size can share the layers.
void check_degree(const ModelSection& c, const Decoder& decoder, int degree) {
  const std::int64_t common = std::gcd(std::gcd(c.heads, decoder.kv_heads), decoder.ffn);
  if (common % degree == 0) return;
  std::string works;
  for (std::int64_t d = 1; d <= common; ++d) {
    if (common % d == 0) works += (works.empty() ? "" : ", ") + std::to_string(d);
  }
  throw ConfigError("parallel.tensor = " + std::to_string(degree) + " does not divide all of " +
                    std::to_string(c.heads) + " heads, " + std::to_string(decoder.kv_heads) +
                    " heads of keys and values and " + std::to_string(decoder.ffn) +
                    " units of the feed-forward layers; use one of: " + works);
}

struct Builder {
  ModelSection config;
  Decoder decoder;

  // Its gradient is a share of the sum where each rank sees a share of the rows.
  std::unique_ptr<nn::Norm> norm(const Build& with, const std::string& name) const {
    auto norm = decoder.norm(with.device, name, config.hidden);
    for (Parameter* p : parameters_of(*norm)) {
      p->sum = with.tensor.shares_rows() ? GradientSum::over_tensor : GradientSum::complete;
    }
    return norm;
  }

  float dropout() const { return static_cast<float>(config.dropout); }

  std::unique_ptr<Module> embedding(Build& with, const std::string& tied) const {
    const EmbeddingOptions options{
        .vocabulary = config.vocabulary,
        .channels = config.hidden,
        .positions = decoder.learned_positions ? config.sequence : 0,
        .dropout = dropout(),
    };
    auto layer = std::make_unique<VocabularyEmbedding>(with.device, with.tensor, "embedding",
                                                       options, Init{with.seed, kDeviation});
    if (!tied.empty()) with.shared[tied] = layer->table();
    return layer;
  }

  std::unique_ptr<Module> block(Build& with, const std::string& name) const {
    const float last = kDeviation / std::sqrt(2.0f * static_cast<float>(config.layers));
    const DecoderInit init{{with.seed, kDeviation}, {with.seed, last}};
    const auto branch = [&](const std::string& number, std::unique_ptr<Module> module) {
      return std::make_unique<nn::Residual>(
          norm(with, name + ".norm" + number), std::move(module),
          nn::Dropout(name + ".dropout" + number, with.seed, dropout()));
    };
    Layers branches;
    branches.push_back(branch("1", attention(with, name + ".attention", init)));
    branches.push_back(
        branch("2", decoder.feed_forward(with, name + ".mlp", config.hidden, decoder.ffn, init)));
    auto block = std::make_unique<nn::Sequential>(std::move(branches));
    if (with.recompute != Recompute::full) return block;
    return std::make_unique<nn::Recomputed>(std::move(block));
  }

  // One for all blocks: [T,D].
  Tensor rotary_table(Build& with) const {
    if (decoder.rotary_base == 0) return {};
    Tensor& table = with.constants["rotary"];
    if (!table) {
      const MemoryScope scope(with.device, MemoryUse::buffers);
      table = Tensor::empty(with.device, {config.sequence, config.hidden / config.heads});
      kernels::rotary_table(table, decoder.rotary_base, with.device.compute());
    }
    return table;
  }

  std::unique_ptr<Module> attention(Build& with, const std::string& name,
                                    const DecoderInit& init) const {
    const AttentionOptions options{
        .channels = config.hidden,
        .heads = config.heads,
        .kv_heads = decoder.kv_heads,
        .bias = decoder.bias,
        .rotary = rotary_table(with),
        .dropout = dropout(),
        .projection_deviation = init.last.deviation,
        .recompute = with.recompute,
    };
    return std::make_unique<TensorAttention>(with.device, with.tensor, name, options, init.inner);
  }

  std::unique_ptr<Module> head(Build& with, const std::string& tied) const {
    Layers layers;
    layers.push_back(norm(with, "head.norm"));
    const auto table = with.shared.find(tied);
    if (table != with.shared.end()) {
      layers.push_back(make_tied_head(with.tensor, table->second));
    } else {
      layers.push_back(make_head(
          with.tensor,
          make_vocabulary_matrix(with.device, with.tensor, tied.empty() ? "head.weight" : tied,
                                 config.vocabulary, config.hidden, Init{with.seed, kDeviation})));
    }
    return std::make_unique<nn::Sequential>(std::move(layers));
  }
};

}  // namespace

ModelPlan plan_decoder(const ModelSection& c, const Decoder& decoder) {
  const Builder builder{c, decoder};
  ModelPlan plan;
  plan.vocabulary = c.vocabulary;
  plan.tied = c.tied ? "embedding.token.weight" : "";
  const auto add = [&](const std::string& name, auto make) {
    plan.layers.push_back({name, [builder, make](Build& with) {
                             check_degree(builder.config, builder.decoder, with.tensor.size());
                             return make(builder, with);
                           }});
  };
  add("embedding",
      [tied = plan.tied](const Builder& b, Build& with) { return b.embedding(with, tied); });
  for (std::int64_t i = 0; i < c.layers; ++i) {
    const std::string name = "blocks." + std::to_string(i);
    add(name, [name](const Builder& b, Build& with) { return b.block(with, name); });
  }
  add("head", [tied = plan.tied](const Builder& b, Build& with) { return b.head(with, tied); });
  return plan;
}

}  // namespace lockstep
