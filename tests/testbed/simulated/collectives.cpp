// SPDX-License-Identifier: Apache-2.0
// Runs native algorithms over the MPI transport on simulated ranks and prints what simulated time
// each took, from a start that all ranks make at the same time to the last rank's end.
//
//   smpirun ... simulated_collectives PER_NODE COLLECTIVE/ALGORITHM,... BYTES,...
//
// "all" stands for every algorithm that serves the group without shared memory. A line per
// algorithm and size: "all_reduce ring RANKS PER_NODE BYTES SECONDS". Wrong sums end the program.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include <mpi.h>

#include "collectives/algorithms/table.hpp"
#include "collectives/sample_call.hpp"
#include "collectives/transports/mpi.hpp"

namespace {

using namespace lockstep;

struct Task {
  const Algorithm* algorithm;
  std::size_t bytes;
};

std::vector<std::string> words(const std::string& list) {
  std::vector<std::string> found;
  std::istringstream in(list);
  for (std::string word; std::getline(in, word, ',');)
    found.push_back(word);
  return found;
}

std::string full_name(const Algorithm& algorithm) {
  return std::string(name_of(algorithm.what)) + "/" + std::string(algorithm.name());
}

std::vector<Task> tasks(const std::string& names, const std::string& sizes,
                        const GroupShape& group) {
  std::vector<Task> found;
  const std::vector<std::string> wanted = words(names);
  for (const Algorithm* algorithm : algorithms()) {
    bool is_wanted = names == "all";
    for (const std::string& word : wanted)
      is_wanted |= word == full_name(*algorithm);
    if (!is_wanted || algorithm->refusal(group)) continue;
    for (const std::string& size : words(sizes)) {
      const std::size_t bytes = std::strtoul(size.c_str(), nullptr, 10);
      if (algorithm->what == Collective::barrier && !found.empty() &&
          found.back().algorithm == algorithm)
        continue;
      if (bytes <= algorithm->largest) found.push_back({algorithm, bytes});
    }
  }
  return found;
}

// All ranks go on at the same simulated time.
double start_together() {
  double latest = MPI_Wtime();
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &latest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD));
  constexpr double kMargin = 1.0;  // for the all-reduce itself
  const double start = latest + kMargin;
  smpi_execute_flops((start - MPI_Wtime()) * 1e9);  // hosts have 1e9 flop/s
  return start;
}

void check_sums(const Sample& sample, const std::vector<float>& out) {
  if (sample.what != Collective::all_reduce) return;
  for (const float value : out) {
    if (value == static_cast<float>(sample.ranks)) continue;
    std::fprintf(stderr, "rank %d: a sum of %d ones is %g\n", sample.rank, sample.ranks, value);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
}

void run(Transport& net, const Task& task, int per_node) {
  Sample sample{.what = task.algorithm->what, .count = task.bytes / sizeof(float)};
  sample.ranks = net.size();
  sample.rank = net.rank();
  std::vector<float> in(sample.in_count(), 1.0f), out(sample.out_count());
  const Call call = sample.apart(reinterpret_cast<std::byte*>(out.data()),
                                 reinterpret_cast<std::byte*>(in.data()));
  net.begin(call, Deadline{});
  const double start = start_together();
  task.algorithm->run(net, call);
  double end = MPI_Wtime();
  check_sums(sample, out);
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &end, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD));
  if (net.rank() != 0) return;
  std::printf("%s %s %d %d %zu %.9g\n", name_of(call.what),
              std::string(task.algorithm->name()).c_str(), sample.ranks, per_node, task.bytes,
              end - start);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  if (argc != 4) {
    std::fputs("simulated_collectives PER_NODE COLLECTIVE/ALGORITHM,...|all BYTES,...\n", stderr);
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  try {
    setenv("SIMULATED_DEVICES_PER_NODE", argv[1], 1);
    const auto net = make_mpi_transport(duplicate(MPI_COMM_WORLD));
    for (const Task& task : tasks(argv[2], argv[3], net->shape()))
      run(*net, task, std::atoi(argv[1]));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "simulated_collectives: %s\n", e.what());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
  return 0;
}
