// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/simulate/networks.hpp"

#include <algorithm>
#include <utility>

#include "perfmodels/collective_price.hpp"

namespace lockstep {

namespace {

// A link whose bytes take `factor` times as long.
class SlowedModel : public MessageModel {
 public:
  SlowedModel(std::unique_ptr<MessageModel> alone, double factor)
      : alone_(std::move(alone)), factor_(factor) {}
  MessageCost of(double bytes) const override {
    MessageCost cost = alone_->of(bytes);
    const double more = (factor_ - 1) * std::max(cost.hold - alone_->of(1).hold, 0.0);
    cost.hold += more;
    cost.flight += more;
    return cost;
  }

 private:
  std::unique_ptr<MessageModel> alone_;
  double factor_;
};

std::unique_ptr<MessageModel> line(const Link& link, Latency latency) {
  return std::make_unique<AlphaBetaModel>(link.alpha, link.beta, latency);
}

}  // namespace

Network formula_network(const Links& links) {
  return {.inside = {.model = line(links.inside, Latency::holds_port), .rendezvous_bytes = 0},
          .across = {.model = line(links.across, Latency::holds_port), .rendezvous_bytes = 0},
          .gamma = links.inside.gamma,
          .shared = links.shared,
          .copies = LocalCopies::free,
          .handshakes = Handshakes::free};
}

Network machine_network(const Machine& machine, const GroupShape& group) {
  const Links links = links_of(machine);
  Network network{.inside = {.model = line(links.inside, Latency::holds_port)},
                  .across = {.model = line(links.across, Latency::passes)},
                  .gamma = links.inside.gamma,
                  .shared = links.shared,
                  .crowded = group.crowded};
  for (const LinkProfile& profile : machine.links) {
    LinkRules& rules = profile.level == "across" ? network.across : network.inside;
    auto model = best_model(profile);
    if (!model) continue;
    if (profile.sharing == "share") network.rank_ports = RankPorts::share;
    if (profile.rendezvous_bytes > 0) rules.rendezvous_bytes = profile.rendezvous_bytes;
    if (profile.level == "across") {
      rules.ports = std::max(static_cast<int>(profile.ports), 1);
      rules.model = std::move(model);
    } else {
      const double factor = std::max(profile.contention.value, 1.0);
      rules.model = std::make_unique<SlowedModel>(std::move(model), factor);
    }
  }
  return network;
}

GroupCall priced_call(Collective what, double bytes, const GroupShape& group) {
  GroupCall call{.what = what,
                 .blocks = Blocks(static_cast<std::size_t>(bytes), group.ranks),
                 .dtype = DType::uint8,
                 .buffers = Buffers::in_place};
  if (what == Collective::all_to_all) {
    const auto p = static_cast<std::size_t>(group.ranks);
    call.blocks = Blocks(call.blocks.total() / p * p, group.ranks);
  }
  for (int node = 0; group.nodes > 1 && node < group.nodes; ++node) {
    const Block on_node = block_bounds(static_cast<std::size_t>(group.ranks), group.nodes, node);
    call.ranks_per_node.push_back(static_cast<int>(on_node.count));
  }
  const bool shares = group.shared_memory || group.shared_inside;
  const bool addressable = group.memory == MemoryKind::shared;
  if (shares) call.sharing = addressable ? Sharing::addressable : Sharing::fetched;
  return call;
}

}  // namespace lockstep
