// SPDX-License-Identifier: Apache-2.0
// What sinfo says of a cluster, and a job's request judged by it.
#include "slurm/cluster.hpp"
#include "tests/fuzz/outcome.hpp"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::vector<slurm::Partition> all;
  fuzz::accepted([&] { all = slurm::parse_partitions(fuzz::text_of(data, size)); });
  for (const slurm::Partition& partition : all) {
    fuzz::expect(!partition.name.empty());
    fuzz::expect(partition.nodes >= 0 && partition.cpus_per_node >= 0 &&
                 partition.gpus_per_node >= 0);
  }
  fuzz::accepted([&] { slurm::check_cluster({}, all); });
  return 0;
}
