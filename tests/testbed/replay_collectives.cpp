// SPDX-License-Identifier: Apache-2.0
// What the replay (perfmodels/simulate) says that collectives and pipeline steps take: the same
// lines as the program of simulated/, so that the two can be laid side by side.
//
//   replay_collectives PROFILE RANKS PER_NODE < lines "COLLECTIVE ALGORITHM BYTES" or
//                                                     "pipeline STEP BYTES"
//
// PROFILE is a machine profile of the network. As in simulated time sums and copies are free, a
// message that waits for its receiver pays no handshake, and its sender goes on when it has
// arrived.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "collectives/sample_call.hpp"
#include "collectives/transports/recording.hpp"
#include "perfmodels/machine/profile.hpp"
#include "perfmodels/simulate/networks.hpp"
#include "runtime/base/error.hpp"
#include "tests/testbed/pipeline_step.hpp"

namespace {

using namespace lockstep;

Network simulated_network(const std::string& profile, int ranks, int per_node) {
  const GroupShape group{.ranks = ranks, .nodes = std::max(ranks / per_node, 1)};
  Network network = machine_network(load_machine(profile), group);
  network.gamma = 0;
  network.copies = LocalCopies::free;
  network.handshakes = Handshakes::free;
  network.sender_done = SenderDone::when_arrived;
  return network;
}

// As the simulated program calls it: float32, input and output apart.
GroupCall group_call(Collective what, std::size_t bytes, int ranks, int per_node) {
  const Sample sample{.what = what, .count = bytes / sizeof(float), .ranks = ranks};
  GroupCall call{.what = what, .blocks = sample.blocks(), .dtype = DType::float32};
  for (int node = 0; node < ranks / per_node; ++node)
    call.ranks_per_node.push_back(per_node);
  return call;
}

Schedule record_step(const PipelineStep& step, const GroupCall& call, std::size_t bytes) {
  Schedule schedule{.call = call, .label = "pipeline", .ranks = {}, .groups = {}};
  schedule.ranks.resize(static_cast<std::size_t>(call.ranks()));
  Displays nothing, shown;
  for (int r = 0; r < call.ranks(); ++r) {
    Notes notes(schedule, r, nothing, shown);
    const auto net = make_recording_transport(notes);
    const std::size_t gradients = gradient_bytes(bytes);
    const Elements messages{notes.area(Area::Kind::data, 2 * bytes), 2 * bytes, DType::uint8};
    const Elements sums{notes.area(Area::Kind::data, gradients), gradients / sizeof(float),
                        DType::float32};
    run_pipeline_step(step, *net, messages, sums, [&](double seconds) {
      notes.add(TrackEvent::What::work, 0, {}, {}, static_cast<Ticket>(seconds * 1e12 + 0.5));
    });
  }
  return schedule;
}

Schedule schedule_of(const std::string& group, const std::string& name, std::size_t bytes,
                     int ranks, int per_node) {
  if (group == "pipeline") {
    const GroupCall call = group_call(Collective::all_reduce, bytes, ranks, per_node);
    return record_step(pipeline_step_named(name), call, bytes);
  }
  const Collective what = collective_named(group.c_str());
  const Algorithm* algorithm = find_algorithm(what, name);
  if (!algorithm) throw ConfigError(group + " has no algorithm '" + name + "'");
  return record(*algorithm, group_call(what, bytes, ranks, per_node));
}

void price(const std::string& group, const std::string& name, std::size_t bytes, int ranks,
           int per_node, const Network& network) {
  const Schedule schedule = schedule_of(group, name, bytes, ranks, per_node);
  std::printf("%s %s %d %d %zu %.9g\n", group.c_str(), name.c_str(), ranks, per_node, bytes,
              replay(schedule, network).seconds);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("see the head of tests/testbed/replay_collectives.cpp\n", stderr);
    return 2;
  }
  try {
    const int ranks = std::atoi(argv[2]), per_node = std::atoi(argv[3]);
    const Network network = simulated_network(argv[1], ranks, per_node);
    std::string group, name;
    for (std::size_t bytes = 0; std::cin >> group >> name >> bytes;)
      price(group, name, bytes, ranks, per_node, network);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "replay_collectives: %s\n", e.what());
    return 1;
  }
}
