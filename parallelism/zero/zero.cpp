// SPDX-License-Identifier: Apache-2.0
#include "parallelism/zero/zero.hpp"

#include <algorithm>
#include <string>

#include "parallelism/zero/gradients.hpp"
#include "parallelism/zero/values.hpp"

namespace lockstep {

namespace {

class Zero : public DataParallel, public nn::LayerWatcher {
 public:
  Zero(const std::vector<LayerParameters>& layers, const Communicator& data,
       const DataParallelOptions& options)
      : zero_(options.zero), plan_(plan_units(layers, options, data.size())) {
    for (std::size_t i = 0; i < plan_.layers.size(); ++i)
      index_[plan_.layers[i]] = i;
    if (plan_.units.empty()) return;  // a stage without parameters
    values_ = (zero_ < 3 ? make_whole_values : make_gathered_values)(plan_, data);
    gradients_ = (zero_ < 2 ? make_whole_gradients : make_transient_gradients)(
        plan_, data, options.micro_batches);
    for (std::size_t u = 0; u < plan_.units.size(); ++u)
      append_pieces(pieces_, plan_.units[u], data.rank(), values_->block(u), gradients_->block(u));
  }

  void ready(Parameter& parameter) override { gradients_->ready(parameter); }

  void finish() override {
    if (plan_.units.empty()) return;
    gradients_->finish();
    values_->settle();
  }

  const std::vector<Piece>& pieces() const override { return pieces_; }

  void publish() override {
    if (!plan_.units.empty()) values_->publish();
  }

  bool shards() const override { return true; }
  nn::LayerWatcher* watcher() override { return zero_ > 1 ? this : nullptr; }

  void before(Module& layer, Pass pass) override {
    const auto found = index_.find(&layer);
    if (found == index_.end()) return;  // without parameters
    values_->before(found->second, pass);
    if (pass == Pass::backward) gradients_->before(found->second);
  }

  void after(Module& layer, Pass) override {
    const auto found = index_.find(&layer);
    if (found != index_.end()) values_->after(found->second);
  }

 private:
  const int zero_;
  const UnitPlan plan_;  // the others look at it
  std::unordered_map<const Module*, std::size_t> index_;
  std::unique_ptr<Values> values_;
  std::unique_ptr<Gradients> gradients_;
  std::vector<Piece> pieces_;
};

}  // namespace

std::unique_ptr<DataParallel> make_zero(const std::vector<LayerParameters>& layers,
                                        const Communicator& data,
                                        const DataParallelOptions& options) {
  expect(options.compression.method == "none", "validate() refuses compression");
  if (options.deferred && options.zero > 1) {
    throw ConfigError("parallel.zero = " + std::to_string(options.zero) +
                      " gives gradients away behind the backward of each layer, but this " +
                      "parallel.schedule computes them later: use parallel.zero = 0 or 1, or " +
                      "another schedule");
  }
  return std::make_unique<Zero>(layers, data, options);
}

}  // namespace lockstep
