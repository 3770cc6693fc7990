// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/shared_costs.hpp"

#include <string>

#include "collectives/measure.hpp"

namespace lockstep {

namespace {

enum Series { gamma_of_all, sync, copy, reduce, stage, reach, fetch, kNumSeries };

class SharedTrial : public Trial {
 public:
  explicit SharedTrial(Transport& net) : net_(net) {}

  void run(std::span<double> seconds) override {
    const Links links = measure_local_steps(net_);
    const SharedCosts& s = links.shared;
    const bool measured = s.source == std::string("measured");
    const double values[] = {
        links.inside.gamma, s.sync, s.copy, s.reduce, s.stage, s.reach, s.fetch};
    for (std::size_t i = 0; i < kNumSeries; ++i)
      seconds[i] = measured || i == gamma_of_all ? values[i] : -1;
    if (net_.shared() && net_.shared()->reads_private()) return;
    seconds[reach] = seconds[fetch] = -1;
  }

 private:
  Transport& net_;
};

}  // namespace

SharedCalibration::SharedCalibration(Sampler& sampler, Transport& net)
    : sampler_(sampler),
      crowded_(net.shape().crowded),
      item_(sampler.add({.name = "local steps",
                         .prepare = [&net] { return std::make_unique<SharedTrial>(net); },
                         .num_series = kNumSeries})) {}

SharedProfile SharedCalibration::profile() const {
  const auto of = [this](Series s) { return sampler_.samples(item_, s).figure(); };
  return {.source = "measured",
          .gamma = of(gamma_of_all),
          .sync = crowded_ ? Figure{} : of(sync),
          .crowded_sync = crowded_ ? of(sync) : Figure{},
          .copy = of(copy),
          .reduce = of(reduce),
          .stage = of(stage),
          .reach = of(reach),
          .fetch = of(fetch)};
}

}  // namespace lockstep
