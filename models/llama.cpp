// SPDX-License-Identifier: Apache-2.0
#include "models/llama.hpp"

#include "models/decoder.hpp"
#include "parallelism/tensor/column_linear.hpp"
#include "parallelism/tensor/row_linear.hpp"
#include "runtime/nn/rmsnorm.hpp"
#include "runtime/nn/swiglu.hpp"

namespace lockstep {

namespace {

constexpr float kRotaryBase = 10000;

std::unique_ptr<nn::Norm> rmsnorm(Device& device, const std::string& name, std::int64_t channels) {
  return std::make_unique<nn::RmsNorm>(device, name, channels);
}

std::unique_ptr<Module> swiglu_units(Build& with, const std::string& name, std::int64_t channels,
                                     std::int64_t ffn, const DecoderInit& init) {
  std::vector<std::unique_ptr<Module>> layers;
  layers.push_back(std::make_unique<ColumnLinear>(with.device, with.tensor, name + ".gate_up",
                                                  channels, std::vector{ffn, ffn}, init.inner,
                                                  nn::Bias::none));
  layers.push_back(std::make_unique<nn::SwiGlu>());
  layers.push_back(std::make_unique<RowLinear>(with.device, with.tensor, name + ".down", ffn,
                                               channels, init.last, nn::Bias::none));
  return std::make_unique<nn::Sequential>(std::move(layers));
}

}  // namespace

// 8/3 of the width, so that three matrices have the parameters of GPT's two; in whole cache lines
// and vector registers.
std::int64_t usual_llama_ffn(std::int64_t hidden) {
  return (8 * hidden + 3 * 32 - 1) / (3 * 32) * 32;
}

ModelPlan plan_llama(const ModelSection& c) {
  return plan_decoder(c, {.rotary_base = kRotaryBase,
                          .bias = nn::Bias::none,
                          .kv_heads = c.kv_heads ? c.kv_heads : c.heads,
                          .ffn = c.ffn ? c.ffn : usual_llama_ffn(c.hidden),
                          .norm = rmsnorm,
                          .feed_forward = swiglu_units});
}

}  // namespace lockstep
