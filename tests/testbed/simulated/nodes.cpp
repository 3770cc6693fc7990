// SPDX-License-Identifier: Apache-2.0
// Nodes as the platform means them: on a platform where each device is a host of its own, MPI's
// idea of a node would be the device. SIMULATED_DEVICES_PER_NODE says how many neighbours are one
// node.
#include "collectives/transports/nodes.hpp"

#include <cstdlib>
#include <utility>

namespace lockstep {

std::vector<int> nodes_of(MPI_Comm comm) {
  int size = 1, world_rank = 0;
  check_mpi(MPI_Comm_size(comm, &size));
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &world_rank));
  const char* per_node = std::getenv("SIMULATED_DEVICES_PER_NODE");
  const int node = world_rank / (per_node ? std::atoi(per_node) : 1);

  std::vector<int> nodes(static_cast<std::size_t>(size));
  check_mpi(MPI_Allgather(&node, 1, MPI_INT, nodes.data(), 1, MPI_INT, comm));
  int num_nodes = 0, last = -1;
  for (int& n : nodes) {  // ascending: ranks are neighbours
    if (n != last) ++num_nodes;
    last = std::exchange(n, num_nodes - 1);
  }
  return nodes;
}

}  // namespace lockstep
