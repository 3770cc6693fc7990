// SPDX-License-Identifier: Apache-2.0
// A platform for SimGrid, loaded by `smpirun -platform libgpu_nodes.so`: nodes of 8 GPUs. Inside a
// node every GPU has one link to a switch that takes all at once (as NVLink does); between nodes
// all 8 share one NIC into a fabric that takes all NICs at once.
//
//   SIMULATED_NODES, and of each link SIMULATED_INSIDE_US, _GBPS, SIMULATED_ACROSS_US, _GBPS:
//   latency from GPU to GPU in microseconds, bandwidth in 1e9 bytes/s. Host i is called "gpu<i>".
#include <cstdlib>
#include <string>
#include <vector>

#include <simgrid/s4u.hpp>

namespace {

using simgrid::s4u::Host;
using simgrid::s4u::LinkInRoute;
using simgrid::s4u::NetZone;
using simgrid::s4u::SplitDuplexLink;

constexpr int kDevices = 8;

double setting(const char* name, double otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atof(text) : otherwise;
}

SplitDuplexLink* make_link(NetZone* zone, const std::string& name, double us, double gbps) {
  auto* link = zone->create_split_duplex_link(name, gbps * 1e9);
  link->set_latency(us * 1e-6 / 2)->seal();  // a path has two of them
  return link;
}

// Its gateway stands behind the NIC.
void make_node(NetZone* root, int node) {
  const std::string name = "node" + std::to_string(node);
  NetZone* zone = simgrid::s4u::create_full_zone(name);
  zone->set_parent(root);
  auto* gateway = zone->create_router(name + "-gateway");
  auto* nic = make_link(zone, name + "-nic", setting("SIMULATED_ACROSS_US", 6),
                        setting("SIMULATED_ACROSS_GBPS", 50));
  std::vector<Host*> devices;
  std::vector<SplitDuplexLink*> links;
  for (int i = 0; i < kDevices; ++i) {
    const std::string id = std::to_string(node * kDevices + i);
    devices.push_back(zone->create_host("gpu" + id, 1e9));
    devices.back()->seal();
    links.push_back(make_link(zone, "port" + id, setting("SIMULATED_INSIDE_US", 2),
                              setting("SIMULATED_INSIDE_GBPS", 400)));
  }
  for (std::size_t i = 0; i < kDevices; ++i) {
    zone->add_route(devices[i]->get_netpoint(), gateway, nullptr, nullptr,
                    {{nic, LinkInRoute::Direction::UP}}, true);
    for (std::size_t k = i + 1; k < kDevices; ++k) {
      zone->add_route(
          devices[i]->get_netpoint(), devices[k]->get_netpoint(), nullptr, nullptr,
          {{links[i], LinkInRoute::Direction::UP}, {links[k], LinkInRoute::Direction::DOWN}}, true);
    }
  }
  zone->seal();
  root->add_route(zone->get_netpoint(), nullptr, gateway, nullptr, std::vector<LinkInRoute>{},
                  true);
}

}  // namespace

extern "C" void load_platform(const simgrid::s4u::Engine& engine);
void load_platform(const simgrid::s4u::Engine&) {
  NetZone* root = simgrid::s4u::create_star_zone("root");
  const int nodes = static_cast<int>(setting("SIMULATED_NODES", 2));
  for (int i = 0; i < nodes; ++i)
    make_node(root, i);
  root->seal();
}
