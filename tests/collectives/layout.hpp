// SPDX-License-Identifier: Apache-2.0
// Ranks of one process that say they lie on several nodes: what hierarchical algorithms are tested
// with. Between "nodes" there are messages only, and inside them too.
#pragma once

#include <utility>
#include <vector>

#include "collectives/transports/forwarding.hpp"

namespace lockstep::test {

class LayoutTransport : public ForwardingTransport {
 public:
  LayoutTransport(Transport& net, std::vector<int> ranks_per_node)
      : ForwardingTransport(net), ranks_per_node_(std::move(ranks_per_node)) {}

  int node_of(int rank) const override {
    int node = 0;
    for (; rank >= ranks_per_node_[static_cast<std::size_t>(node)]; ++node)
      rank -= ranks_per_node_[static_cast<std::size_t>(node)];
    return node;
  }
  SharedMemory* shared() override { return nullptr; }

 private:
  std::vector<int> ranks_per_node_;
};

}  // namespace lockstep::test
