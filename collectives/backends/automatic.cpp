// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/automatic.hpp"

#include <climits>
#include <utility>

#include "collectives/backends/mpi.hpp"
#include "collectives/backends/native.hpp"
#include "collectives/library_prices.hpp"
#include "collectives/select.hpp"

namespace lockstep::automatic {

namespace {

constexpr double kLibrarySeconds = 0.25;  // for all collectives of a group

LibraryPrices measured_prices(Backend& library, const CommunicatorOptions& options) {
  if (options.constants == Constants::built_in || options.costs) return {};
  return {library, kLibrarySeconds};
}

class AutomaticBackend : public Backend {
 public:
  AutomaticBackend(std::unique_ptr<Backend> native, std::unique_ptr<Backend> library,
                   CommunicatorOptions options, const LibraryPrices& prices)
      : native_(std::move(native)),
        library_(std::move(library)),
        options_(std::move(options)),
        selector_(options_, native_->shape(), native_->links()),
        prices_(prices) {}

  int rank() const override { return native_->rank(); }
  int size() const override { return native_->size(); }
  GroupShape shape() const override { return native_->shape(); }
  Links links() const override { return native_->links(); }

  std::vector<Choice> candidates(const Call& call) const override {
    std::vector<Choice> choices = selector_.candidates(call);
    const double seconds = library_seconds(call);
    if (seconds > 0 && call.count() <= INT_MAX)
      choices.push_back({.label = "mpi", .seconds = seconds});
    sort_by_price(choices);
    return choices;
  }

  Choice choose(const Call& call) const override {
    if (is_message(call.what)) return native_->choose(call);
    return cache_.get(call, [&] { return chosen(call); });
  }

  void run(const Call& call, const Choice& choice, const Deadline& deadline) override {
    Backend& server = choice.algorithm ? *native_ : *library_;
    server.run(call, choice, deadline);
  }

  void transfer(std::span<const Call> messages, const Deadline& deadline) override {
    native_->transfer(messages, deadline);
  }

  // A group of as many ranks on as many nodes is most likely the same group.
  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    auto ours = native_->split(colors);
    auto theirs = library_->split(colors);
    const bool same = ours->size() == size() && ours->shape().nodes == shape().nodes;
    const LibraryPrices prices = same ? prices_ : measured_prices(*theirs, options_);
    return std::make_unique<AutomaticBackend>(std::move(ours), std::move(theirs), options_, prices);
  }
  std::shared_ptr<void> allocate(Device& device, std::size_t bytes) override {
    return native_->allocate(device, bytes);
  }
  bool owns(const Elements& data) const override { return native_->owns(data); }

 private:
  double library_seconds(const Call& call) const {
    const auto known = selector_.library(call);
    return known ? known->seconds : prices_.seconds(call);
  }
  Choice chosen(const Call& call) const {
    if (auto asked = selector_.asked_for(call)) {
      if (!asked->algorithm) asked->seconds = library_seconds(call);
      return *asked;
    }
    const std::vector<Choice> choices = candidates(call);
    return choices.empty() ? Choice{.label = "mpi"} : choices.front();
  }

  std::unique_ptr<Backend> native_, library_;
  CommunicatorOptions options_;
  Selector selector_;
  LibraryPrices prices_;
  mutable ChoiceCache cache_;
};

}  // namespace

std::unique_ptr<Backend> make(MPI_Comm comm, const CommunicatorOptions& options) {
  auto ours = native::make(comm, options);
  auto theirs = mpi::make(comm, options);
  const LibraryPrices prices = measured_prices(*theirs, options);
  return std::make_unique<AutomaticBackend>(std::move(ours), std::move(theirs), options, prices);
}

}  // namespace lockstep::automatic
