// SPDX-License-Identifier: Apache-2.0
// Nodes as the platform means them: on a platform where each device is a host of its own, MPI's
// idea of a node would be the device. SIMULATED_DEVICES_PER_NODE says how many neighbours are one
// node.
#include "collectives/transports/nodes.hpp"

#include <cstdlib>
#include <numeric>
#include <utility>

namespace lockstep {

namespace {

std::vector<int> world_ranks(MPI_Comm comm) {
  int size = 1;
  MPI_Group group = MPI_GROUP_NULL, world = MPI_GROUP_NULL;
  check_mpi(MPI_Comm_size(comm, &size));
  check_mpi(MPI_Comm_group(comm, &group));
  check_mpi(MPI_Comm_group(MPI_COMM_WORLD, &world));
  std::vector<int> here(static_cast<std::size_t>(size)), there(here.size());
  std::iota(here.begin(), here.end(), 0);
  check_mpi(MPI_Group_translate_ranks(group, size, here.data(), world, there.data()));
  check_mpi(MPI_Group_free(&group));
  check_mpi(MPI_Group_free(&world));
  return there;
}

}  // namespace

// Asks nobody: an all-gather of a thousand ranks would be a million messages.
std::vector<int> nodes_of(MPI_Comm comm) {
  const char* per_node = std::getenv("SIMULATED_DEVICES_PER_NODE");
  std::vector<int> nodes = world_ranks(comm);
  int num_nodes = 0, last = -1;
  for (int& n : nodes) {  // ascending: ranks are neighbours
    n /= per_node ? std::atoi(per_node) : 1;
    if (n != last) ++num_nodes;
    last = std::exchange(n, num_nodes - 1);
  }
  return nodes;
}

}  // namespace lockstep
