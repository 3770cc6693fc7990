// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/dry.hpp"

#include <algorithm>
#include <utility>

#include "collectives/backends/table.hpp"
#include "collectives/select.hpp"
#include "runtime/device/device.hpp"

namespace lockstep::dry {

namespace {

// Where nobody says on how many nodes the ranks would lie.
constexpr int kMostRanksOfANode = 256;
// NOLINTNEXTLINE(performance-no-int-to-ptr)
std::byte* const kNowhere = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 52);

// The node of each rank, neighbours together.
std::vector<int> nodes_of(int ranks, int per_node) {
  if (per_node == 0) per_node = ranks <= kMostRanksOfANode ? ranks : 1;
  std::vector<int> nodes(static_cast<std::size_t>(ranks));
  for (int r = 0; r < ranks; ++r)
    nodes[static_cast<std::size_t>(r)] = r / per_node;
  return nodes;
}

// `nodes` ascend.
GroupShape shape_of(const std::vector<int>& nodes, const CommunicatorOptions& options) {
  std::vector<int> counts;
  for (std::size_t r = 0; r < nodes.size(); ++r) {
    if (r == 0 || nodes[r] != nodes[r - 1]) counts.push_back(0);
    ++counts.back();
  }
  GroupShape shape = assumed_shape(static_cast<int>(nodes.size()), static_cast<int>(counts.size()));
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  shape.even = *least == *most;
  return options.costs ? options.costs->as_there(shape) : shape;
}

class DryBackend : public Backend {
 public:
  DryBackend(std::vector<int> nodes, int rank, CommunicatorOptions options)
      : rank_(rank),
        nodes_(std::move(nodes)),
        options_(std::move(options)),
        stands_for_(find_backend(options_.backend, DeviceKind::dry).name),
        selector_(options_, shape_of(nodes_, options_),
                  options_.costs ? options_.costs->links : Links{}) {}

  void expect_named_serves() const {
    if (chooses()) selector_.expect_named_serves();
  }

  int rank() const override { return rank_; }
  int size() const override { return shape().ranks; }
  GroupShape shape() const override { return selector_.group(); }
  Links links() const override { return selector_.links(); }

  std::vector<Choice> candidates(const Call& call) const override {
    if (!chooses()) return {{.label = stands_for_.data()}};
    std::vector<Choice> choices = selector_.candidates(call);
    const auto library = stands_for_ == "auto" ? selector_.library(call) : std::nullopt;
    if (library) choices.push_back(*library);
    sort_by_price(choices);
    return choices;
  }
  Choice choose(const Call& call) const override {
    if (!chooses()) return {.label = stands_for_.data()};
    if (stands_for_ == "native" || is_message(call.what)) return selector_.choose(call);
    return cache_.get(call, [&] { return chosen(call); });
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
    std::vector<int> part;
    for (std::size_t r = 0; r < nodes_.size(); ++r) {
      if (colors[r] == *me) part.push_back(nodes_[r]);
    }
    const auto place = static_cast<int>(std::count(colors.begin(), me, *me));
    return std::make_unique<DryBackend>(std::move(part), place, options_);
  }

 private:
  // Between our algorithms, and the library where a table has its price: nothing is measured here.
  bool chooses() const { return stands_for_ == "native" || stands_for_ == "auto"; }

  Choice chosen(const Call& call) const {
    if (const auto asked = selector_.asked_for(call)) return *asked;
    const std::vector<Choice> choices = candidates(call);
    return choices.empty() ? Choice{.label = "native"} : choices.front();
  }

  int rank_;
  std::vector<int> nodes_;  // of each rank
  CommunicatorOptions options_;
  std::string_view stands_for_;
  Selector selector_;
  std::size_t allocated_ = 0;
  mutable ChoiceCache cache_;
};

}  // namespace

std::unique_ptr<Backend> make(int size, int rank, const CommunicatorOptions& options,
                              int ranks_per_node) {
  if (ranks_per_node == 0 && options.costs) ranks_per_node = options.costs->ranks_per_node;
  auto backend = std::make_unique<DryBackend>(nodes_of(size, ranks_per_node), rank, options);
  backend->expect_named_serves();
  return backend;
}

}  // namespace lockstep::dry
