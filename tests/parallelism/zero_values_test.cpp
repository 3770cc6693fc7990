// SPDX-License-Identifier: Apache-2.0
// Values of zero 3 by themselves: what is gathered, and what is not gathered again.
#include "parallelism/zero/values.hpp"
#include "runtime/nn/layernorm.hpp"
#include "tests/parallelism/counted_calls.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;
using namespace lockstep::test;

TEST_CASE("gathered values: every pass gathers all but what is there still", "[unit]") {
  // Equal layers take two buffers in turns, so that two layers are there where passes turn.
  constexpr std::int64_t kLayers = 5, kElements = 32;
  for (const std::int64_t m : {1, 2, 3}) {
    std::vector<std::int64_t> gathered(2);
    on_counted_ranks(2, [&](const Communicator& data, Device& device, CountedCalls& calls) {
      std::vector<std::unique_ptr<nn::LayerNorm>> norms;
      std::vector<LayerParameters> layers;
      for (std::int64_t i = 0; i < kLayers; ++i) {
        norms.push_back(std::make_unique<nn::LayerNorm>(device, "norm", kElements / 2));
        layers.push_back({norms.back().get(), parameters_of(*norms.back())});
      }
      const UnitPlan plan = plan_units(layers, {.zero = 3}, data.size());
      const auto values = make_gathered_values(plan, data);
      const auto pass = [&](std::size_t layer, Values::Pass direction) {
        values->before(layer, direction);
        values->after(layer);
      };
      for (int step = 0; step < 2; ++step) {
        calls.take();
        for (std::int64_t micro = 0; micro < m; ++micro) {
          for (std::size_t i = 0; i < layers.size(); ++i)
            pass(i, Values::Pass::forward);
          for (std::size_t i = layers.size(); i-- > 0;)
            pass(i, Values::Pass::backward);
        }
        values->settle();
        values->publish();
      }
      for (const CallRecord& call : calls.take())
        gathered[static_cast<std::size_t>(data.rank())] += static_cast<std::int64_t>(call.count);
    });
    const std::int64_t turns = 2 * m - 1;
    for (const std::int64_t count : gathered)
      CHECK(count == (2 * m * kLayers - 2 * turns) * kElements);
  }
}
