// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/dry.hpp"

#include <algorithm>
#include <utility>

#include "collectives/backends/table.hpp"
#include "collectives/select.hpp"
#include "runtime/device/device.hpp"

namespace lockstep::dry {

namespace {

// Nobody says on how many nodes the ranks would lie: one, as long as such nodes exist.
constexpr int kMostRanksOfANode = 256;
// NOLINTNEXTLINE(performance-no-int-to-ptr)
std::byte* const kNowhere = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 52);

GroupShape shape_of(int ranks) {
  return ranks <= kMostRanksOfANode ? assumed_shape(ranks, 1) : GroupShape{.ranks = ranks};
}

class DryBackend : public Backend {
 public:
  DryBackend(const GroupShape& shape, int rank, CommunicatorOptions options)
      : rank_(rank),
        options_(std::move(options)),
        stands_for_(find_backend(options_.backend).name),
        selector_(options_, shape) {}

  void expect_named_serves() const {
    if (chooses()) selector_.expect_named_serves();
  }

  int rank() const override { return rank_; }
  int size() const override { return shape().ranks; }
  GroupShape shape() const override { return selector_.group(); }

  std::vector<Choice> candidates(const Call& call) const override {
    if (!chooses()) return {{.label = stands_for_.data()}};
    return selector_.candidates(call);
  }
  Choice choose(const Call& call) const override {
    if (!chooses()) return {.label = stands_for_.data()};
    return selector_.choose(call);
  }

  void run(const Call&, const Choice&, const Deadline&) override {}
  void transfer(std::span<const Call>, const Deadline&) override {}

  // Addresses that nobody goes to: so that the same calls are on shared memory as where they run.
  std::shared_ptr<void> allocate(Device& device, std::size_t bytes) override {
    std::byte* const address = kNowhere + allocated_;
    allocated_ += bytes;
    return device.adopt({address, [](std::byte*) {}}, bytes);
  }
  bool owns(const Elements& data) const override {
    return shape().shared_memory && data.data >= kNowhere && data.data < kNowhere + allocated_;
  }

  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    const auto me = colors.begin() + rank_;
    const int ranks = static_cast<int>(std::count(colors.begin(), colors.end(), *me));
    const GroupShape part = shape().shared_memory ? shape_of(ranks) : GroupShape{.ranks = ranks};
    return std::make_unique<DryBackend>(part, static_cast<int>(std::count(colors.begin(), me, *me)),
                                        options_);
  }

 private:
  // Between our algorithms: `auto` does not price the library without measuring it.
  bool chooses() const { return stands_for_ == "native" || stands_for_ == "auto"; }

  int rank_;
  CommunicatorOptions options_;
  std::string_view stands_for_;
  Selector selector_;
  std::size_t allocated_ = 0;
};

}  // namespace

std::unique_ptr<Backend> make(int size, int rank, const CommunicatorOptions& options) {
  auto backend = std::make_unique<DryBackend>(shape_of(size), rank, options);
  backend->expect_named_serves();
  return backend;
}

}  // namespace lockstep::dry
