// SPDX-License-Identifier: Apache-2.0
#include "collectives/transports/nodes.hpp"

#include <algorithm>

namespace lockstep {

std::vector<int> nodes_of(MPI_Comm comm) {
  int size = 1, lowest = 0;
  check_mpi(MPI_Comm_size(comm, &size));
  check_mpi(MPI_Comm_rank(comm, &lowest));
  const CommHandle node = split_by_node(comm);
  check_mpi(MPI_Bcast(&lowest, 1, MPI_INT, 0, node.get()));

  std::vector<int> lowest_of(static_cast<std::size_t>(size)), nodes, leaders;
  check_mpi(MPI_Allgather(&lowest, 1, MPI_INT, lowest_of.data(), 1, MPI_INT, comm));
  for (const int leader : lowest_of) {
    auto at = std::find(leaders.begin(), leaders.end(), leader);
    if (at == leaders.end()) at = leaders.insert(at, leader);
    nodes.push_back(static_cast<int>(at - leaders.begin()));
  }
  return nodes;
}

}  // namespace lockstep
