// SPDX-License-Identifier: Apache-2.0
#include "models/gpt.hpp"

#include <cmath>

#include "runtime/nn/attention.hpp"
#include "runtime/nn/embedding.hpp"
#include "runtime/nn/gelu.hpp"
#include "runtime/nn/layernorm.hpp"

namespace lockstep {

namespace {

constexpr float kDeviation = 0.02f;

class FeedForward : public Module {  // C -> F -> C
 public:
  FeedForward(Device& device, const std::string& name, std::int64_t channels, std::int64_t inner,
              const Init& init, float projection_deviation)
      : up_(device, name + ".up", channels, inner, init),
        down_(device, name + ".down", inner, channels, {init.seed, projection_deviation}) {}

  Tensor forward(const Tensor& x, Stash& stash) override {
    return down_.forward(gelu_.forward(up_.forward(x, stash), stash), stash);
  }

  Tensor backward_input(Tensor dy, Stash& stash) override {
    dy = gelu_.backward_input(down_.backward_input(std::move(dy), stash), stash);
    return up_.backward_input(std::move(dy), stash);
  }

  void parameters(std::vector<Parameter*>& into) override {
    up_.parameters(into);
    down_.parameters(into);
  }

 private:
  nn::Linear up_, down_;
  nn::Gelu gelu_;
};

class Block : public Module {
 public:
  Block(Device& device, const std::string& name, const ModelSection& c, const Init& init,
        float projection_deviation)
      : norm1_(device, name + ".norm1", c.hidden),
        attention_(device, name + ".attention",
                   {.channels = c.hidden,
                    .heads = c.heads,
                    .dropout = static_cast<float>(c.dropout),
                    .projection_deviation = projection_deviation},
                   init),
        norm2_(device, name + ".norm2", c.hidden),
        mlp_(device, name + ".mlp", c.hidden, c.ffn ? c.ffn : 4 * c.hidden, init,
             projection_deviation),
        dropout1_(name + ".dropout1", init.seed, static_cast<float>(c.dropout)),
        dropout2_(name + ".dropout2", init.seed, static_cast<float>(c.dropout)) {}

  Tensor forward(const Tensor& x, Stash& stash) override {
    Tensor branch = attention_.forward(norm1_.forward(x, stash), stash);
    const Tensor y = dropout1_.add_to(x, std::move(branch), stash);
    branch = mlp_.forward(norm2_.forward(y, stash), stash);
    return dropout2_.add_to(y, std::move(branch), stash);
  }

  Tensor backward_input(Tensor dy, Stash& stash) override {
    Tensor branch = mlp_.backward_input(dropout2_.backward(dy, stash), stash);
    dy = norm2_.backward_input(std::move(branch), dy, stash);
    branch = attention_.backward_input(dropout1_.backward(dy, stash), stash);
    return norm1_.backward_input(std::move(branch), dy, stash);
  }

  void parameters(std::vector<Parameter*>& into) override {
    norm1_.parameters(into);
    attention_.parameters(into);
    norm2_.parameters(into);
    mlp_.parameters(into);
  }

 private:
  nn::LayerNorm norm1_;
  nn::CausalSelfAttention attention_;
  nn::LayerNorm norm2_;
  FeedForward mlp_;
  nn::Dropout dropout1_, dropout2_;
};

class Head : public Module {
 public:
  Head(Device& device, std::int64_t channels, std::shared_ptr<Parameter> weight)
      : norm_(device, "head.norm", channels), linear_(std::move(weight)) {}

  Tensor forward(const Tensor& x, Stash& stash) override {
    return linear_.forward(norm_.forward(x, stash), stash);
  }
  Tensor backward_input(Tensor dy, Stash& stash) override {
    return norm_.backward_input(linear_.backward_input(std::move(dy), stash), stash);
  }
  void parameters(std::vector<Parameter*>& into) override {
    norm_.parameters(into);
    linear_.parameters(into);
  }

 private:
  nn::LayerNorm norm_;
  nn::Linear linear_;
};

}  // namespace

std::unique_ptr<nn::Sequential> make_gpt(const ModelSection& c, Device& device,
                                         std::uint64_t seed) {
  const Init init{seed, kDeviation};
  const float projection = kDeviation / std::sqrt(2.0f * static_cast<float>(c.layers));
  std::vector<std::unique_ptr<Module>> layers;

  auto embedding = std::make_unique<nn::Embedding>(device, "embedding", c.vocabulary, c.sequence,
                                                   c.hidden, static_cast<float>(c.dropout), init);
  const std::shared_ptr<Parameter> tokens = embedding->token_table();
  layers.push_back(std::move(embedding));
  for (std::int64_t i = 0; i < c.layers; ++i) {
    layers.push_back(
        std::make_unique<Block>(device, "blocks." + std::to_string(i), c, init, projection));
  }
  if (c.tied) tokens->uses = 2;
  const auto output =
      c.tied ? tokens : make_matrix(device, "head.weight", {c.vocabulary, c.hidden}, init);
  layers.push_back(std::make_unique<Head>(device, c.hidden, output));
  return std::make_unique<nn::Sequential>(std::move(layers));
}

}  // namespace lockstep
