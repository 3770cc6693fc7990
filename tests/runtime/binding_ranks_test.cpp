// SPDX-License-Identifier: Apache-2.0
// Ranks started without binding bind themselves to cores of their own.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include <omp.h>

#include "runtime/context/binding.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;

TEST_CASE("no core serves two ranks while there are enough, and no rank runs too many threads",
          "[mpi]") {
  const Context& context = test::context();
  const Topology topology;
  const CoreSet before = topology.allowed_cores();
  const Binding binding = bind_to_cores(context, topology);
  const CoreSet after = topology.allowed_cores();
  CHECK(binding.cores <= static_cast<int>(after.size()));
  CHECK(binding.ours == (after != before));

  int total = 0;
  check_mpi(MPI_Allreduce(&binding.cores, &total, 1, MPI_INT, MPI_SUM, context.node_comm()));
  const int num_cores = static_cast<int>(before.size());
  CHECK(total == std::max(num_cores, context.local_size()));

  // Every rank marks its cores: none is marked twice where everybody was bound.
  std::vector<int> marks(topology.hardware().cores);
  for (int core : after)
    marks[core] = 1;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, marks.data(), static_cast<int>(marks.size()), MPI_INT,
                          MPI_SUM, context.node_comm()));
  const int most = *std::max_element(marks.begin(), marks.end());
  CHECK(most == (context.local_size() <= num_cores ? 1 : context.local_size()));
}

TEST_CASE("the job's number of threads is what OpenMP runs", "[mpi]") {
  unsetenv("OMP_NUM_THREADS");  // the launcher of the tests sets it
  Binding binding;
  binding.cores = 2;
  CHECK(set_threads(0, binding) == 2);
  CHECK(omp_get_max_threads() == 2);
  CHECK(set_threads(1, binding) == 1);
  CHECK(omp_get_max_threads() == 1);
}
