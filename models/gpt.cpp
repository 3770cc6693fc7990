// SPDX-License-Identifier: Apache-2.0
#include "models/gpt.hpp"

#include "models/decoder.hpp"
#include "parallelism/tensor/column_linear.hpp"
#include "parallelism/tensor/row_linear.hpp"
#include "runtime/nn/gelu.hpp"
#include "runtime/nn/layernorm.hpp"

namespace lockstep {

namespace {

std::unique_ptr<nn::Norm> layernorm(Device& device, const std::string& name,
                                    std::int64_t channels) {
  return std::make_unique<nn::LayerNorm>(device, name, channels);
}

std::unique_ptr<Module> gelu_units(Build& with, const std::string& name, std::int64_t channels,
                                   std::int64_t ffn, const DecoderInit& init) {
  std::vector<std::unique_ptr<Module>> layers;
  layers.push_back(std::make_unique<ColumnLinear>(with.device, with.tensor, name + ".up", channels,
                                                  std::vector{ffn}, init.inner, nn::Bias::zero));
  layers.push_back(std::make_unique<nn::Gelu>());
  layers.push_back(std::make_unique<RowLinear>(with.device, with.tensor, name + ".down", ffn,
                                               channels, init.last, nn::Bias::zero));
  return std::make_unique<nn::Sequential>(std::move(layers));
}

}  // namespace

ModelPlan plan_gpt(const ModelSection& c) {
  return plan_decoder(c, {.learned_positions = true,
                          .bias = nn::Bias::zero,
                          .kv_heads = c.heads,
                          .ffn = c.ffn ? c.ffn : 4 * c.hidden,
                          .norm = layernorm,
                          .feed_forward = gelu_units});
}

}  // namespace lockstep
