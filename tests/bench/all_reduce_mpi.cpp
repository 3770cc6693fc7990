// SPDX-License-Identifier: Apache-2.0
// all_reduce_mpi FILE BYTES...: the all-reduce of whatever MPI it is compiled with (mpicxx.mpich
// for MPICH). A program of its own, because two MPIs do not fit into one.
#include <mpi.h>

#include "tests/bench/all_reduce_loop.hpp"

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  bench::Meeting meeting(argv[1], rank, size);
  const auto sizes = bench::sizes_from(argc, argv, 2);
  std::vector<float> data(*std::max_element(sizes.begin(), sizes.end()) / sizeof(float));
  std::vector<bench::Candidate> candidates{{"mpi", data.data(), [&](std::size_t count) {
                                              MPI_Allreduce(MPI_IN_PLACE, data.data(),
                                                            static_cast<int>(count), MPI_FLOAT,
                                                            MPI_SUM, MPI_COMM_WORLD);
                                            }}};
  bench::measure(meeting, rank, size, candidates, sizes);
  MPI_Finalize();
}
