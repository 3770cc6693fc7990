// SPDX-License-Identifier: Apache-2.0
// What the replay (perfmodels/simulate) says that collectives take: the same lines as the program
// of simulated/, so that the two can be laid side by side.
//
//   replay_collectives RANKS PER_NODE PORTS EAGER_BYTES
//                      INSIDE_ALPHA INSIDE_BETA ACROSS_ALPHA ACROSS_BETA
//                      < lines "COLLECTIVE ALGORITHM BYTES"
//
// Seconds per message and per byte; PORTS of a node that its ranks share (0: one for each). Sums
// and copies are free, as in simulated time, and a message that waits for its receiver pays no
// handshake.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "collectives/sample_call.hpp"
#include "perfmodels/simulate/replay.hpp"
#include "runtime/base/error.hpp"

namespace {

using namespace lockstep;

LinkRules rules(double alpha, double beta, double eager_bytes, int ports) {
  return {.model = std::make_shared<AlphaBetaModel>(alpha, beta, Latency::passes),
          .rendezvous_bytes = eager_bytes,
          .ports = ports};
}

// As the simulated program calls it: float32, input and output apart.
GroupCall group_call(Collective what, std::size_t bytes, int ranks, int per_node) {
  const Sample sample{.what = what, .count = bytes / sizeof(float), .ranks = ranks};
  GroupCall call{.what = what, .blocks = sample.blocks(), .dtype = DType::float32};
  for (int node = 0; node < ranks / per_node; ++node)
    call.ranks_per_node.push_back(per_node);
  return call;
}

void price(const std::string& collective, const std::string& name, std::size_t bytes, int ranks,
           int per_node, const Network& network) {
  const Collective what = collective_named(collective.c_str());
  const Algorithm* algorithm = find_algorithm(what, name);
  if (!algorithm) throw ConfigError(collective + " has no algorithm '" + name + "'");
  const Schedule schedule = record(*algorithm, group_call(what, bytes, ranks, per_node));
  std::printf("%s %s %d %d %zu %.9g\n", collective.c_str(), name.c_str(), ranks, per_node, bytes,
              replay(schedule, network).seconds);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9) {
    std::fputs("see the head of tests/testbed/replay_collectives.cpp\n", stderr);
    return 2;
  }
  try {
    const int ranks = std::atoi(argv[1]), per_node = std::atoi(argv[2]), ports = std::atoi(argv[3]);
    const double eager = std::atof(argv[4]);
    Network network{.inside = rules(std::atof(argv[5]), std::atof(argv[6]), eager, 0),
                    .across = rules(std::atof(argv[7]), std::atof(argv[8]), eager, ports)};
    network.copies = LocalCopies::free;
    network.handshakes = Handshakes::free;
    std::string collective, name;
    for (std::size_t bytes = 0; std::cin >> collective >> name >> bytes;)
      price(collective, name, bytes, ranks, per_node, network);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "replay_collectives: %s\n", e.what());
    return 1;
  }
}
