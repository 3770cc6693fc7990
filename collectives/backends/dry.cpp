// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/dry.hpp"

#include <algorithm>
#include <utility>

#include "collectives/backends/table.hpp"
#include "collectives/select.hpp"

namespace lockstep::dry {

namespace {

class DryBackend : public Backend {
 public:
  DryBackend(const GroupShape& shape, int rank, CommunicatorOptions options)
      : rank_(rank),
        options_(std::move(options)),
        stands_for_(find_backend(options_.backend).name),
        selector_(options_.algorithm, shape) {}

  int rank() const override { return rank_; }
  int size() const override { return shape().ranks; }
  GroupShape shape() const override { return selector_.group(); }

  std::vector<Choice> candidates(const Call& call) const override {
    if (stands_for_ != "native") return {{.label = stands_for_.data()}};
    return selector_.candidates(call);
  }
  Choice choose(const Call& call) const override {
    if (stands_for_ != "native") return {.label = stands_for_.data()};
    return selector_.choose(call);
  }

  void run(const Call&, const Choice&, const Deadline&) override {}
  void transfer(std::span<const Call>, const Deadline&) override {}

  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    const auto me = colors.begin() + rank_;
    GroupShape part = shape();
    part.ranks = static_cast<int>(std::count(colors.begin(), colors.end(), *me));
    return std::make_unique<DryBackend>(part, static_cast<int>(std::count(colors.begin(), me, *me)),
                                        options_);
  }

 private:
  int rank_;
  CommunicatorOptions options_;
  std::string_view stands_for_;
  Selector selector_;
};

}  // namespace

std::unique_ptr<Backend> make(int size, int rank, const CommunicatorOptions& options) {
  return std::make_unique<DryBackend>(GroupShape{.ranks = size}, rank, options);
}

}  // namespace lockstep::dry
