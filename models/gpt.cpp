// SPDX-License-Identifier: Apache-2.0
#include "models/gpt.hpp"

#include "models/decoder.hpp"
#include "parallelism/tensor/gelu_units.hpp"
#include "runtime/nn/layernorm.hpp"

namespace lockstep {

namespace {

std::unique_ptr<nn::Norm> layernorm(Device& device, const std::string& name,
                                    std::int64_t channels) {
  return std::make_unique<nn::LayerNorm>(device, name, channels);
}

std::unique_ptr<Module> gelu_units(Build& with, const std::string& name, std::int64_t channels,
                                   std::int64_t ffn, const DecoderInit& init) {
  return std::make_unique<GeluUnits>(with.device, with.tensor, name, channels, ffn, init.inner,
                                     init.last);
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
