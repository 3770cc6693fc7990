// SPDX-License-Identifier: Apache-2.0
// Runs native algorithms and pipeline steps over the MPI transport on simulated ranks and prints
// what simulated time each took, from a start that all ranks make at the same time to the last
// rank's end.
//
//   smpirun ... simulated_collectives PER_NODE COLLECTIVE/ALGORITHM,pipeline/STEP,... BYTES,...
//
// "all" stands for every algorithm that serves the group without shared memory. A line per
// algorithm and size: "all_reduce ring RANKS PER_NODE BYTES SECONDS". Wrong sums end the program.
// "path" sends two messages at once from rank 0 to the last one: lines "path first ...", when the
// first of them has arrived, and "path second ...".
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <mpi.h>

#include "collectives/algorithms/table.hpp"
#include "collectives/sample_call.hpp"
#include "collectives/transports/mpi.hpp"
#include "tests/testbed/pipeline_step.hpp"

namespace {

using namespace lockstep;

// An algorithm, or else a pipeline step, or else two messages, of `bytes`.
struct Task {
  std::string group, name;
  std::size_t bytes = 0;
  const Algorithm* algorithm = nullptr;
  PipelineStep step{};
};

struct Line {
  std::string name;
  double seconds;  // from the common start; of this rank, then the latest of all
};

std::vector<std::string> words(const std::string& list) {
  std::vector<std::string> found;
  std::istringstream in(list);
  for (std::string word; std::getline(in, word, ',');)
    found.push_back(word);
  return found;
}

void add_algorithm(std::vector<Task>& tasks, const Algorithm& algorithm, const std::string& names,
                   std::size_t bytes) {
  const Task task{name_of(algorithm.what), std::string(algorithm.name()), bytes, &algorithm};
  const std::vector<std::string> wanted = words(names);
  const std::string name = task.group + "/" + task.name;
  const bool is_wanted =
      names == "all" || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  if (is_wanted && bytes <= algorithm.largest) tasks.push_back(task);
}

std::vector<Task> tasks(const std::string& names, const std::string& sizes,
                        const GroupShape& group) {
  std::vector<Task> found;
  const std::vector<std::string> all_sizes = words(sizes);
  for (const std::string& size : all_sizes) {
    const std::size_t bytes = std::strtoul(size.c_str(), nullptr, 10);
    for (const Algorithm* algorithm : algorithms()) {
      const bool again = algorithm->what == Collective::barrier && size != all_sizes.front();
      if (!algorithm->refusal(group) && !again) add_algorithm(found, *algorithm, names, bytes);
    }
    for (const std::string& word : words(names)) {
      if (word == "path") found.push_back({"path", "", bytes});
      if (word.rfind("pipeline/", 0) != 0) continue;
      const std::string name = word.substr(word.find('/') + 1);
      found.push_back({"pipeline", name, bytes, nullptr, pipeline_step_named(name)});
    }
  }
  return found;
}

void compute(double seconds) {
  smpi_execute_flops(seconds * 1e9);  // hosts have 1e9 flop/s
}

// All ranks go on at the same simulated time.
double start_together() {
  double latest = MPI_Wtime();
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &latest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD));
  constexpr double kMargin = 1.0;  // for the all-reduce itself
  const double start = latest + kMargin;
  compute(start - MPI_Wtime());
  return start;
}

void check_sums(std::span<const float> sums, int ranks) {
  for (const float value : sums) {
    if (value == static_cast<float>(ranks)) continue;
    std::fprintf(stderr, "a sum of %d ones is %g\n", ranks, value);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
}

// When this rank was done, from the common start.
double run_algorithm(Transport& net, const Task& task) {
  Sample sample{.what = task.algorithm->what, .count = task.bytes / sizeof(float)};
  sample.ranks = net.size();
  sample.rank = net.rank();
  std::vector<float> in(sample.in_count(), 1.0f), out(sample.out_count());
  const Call call = sample.apart(reinterpret_cast<std::byte*>(out.data()),
                                 reinterpret_cast<std::byte*>(in.data()));
  net.begin(call, Deadline{});
  const double start = start_together();
  task.algorithm->run(net, call);
  const double seconds = MPI_Wtime() - start;
  if (sample.what == Collective::all_reduce) check_sums(out, sample.ranks);
  return seconds;
}

double run_step(Transport& net, const Task& task) {
  std::vector<std::byte> messages(2 * task.bytes);
  std::vector<float> gradients(gradient_bytes(task.bytes) / sizeof(float), 1.0f);
  const Elements sums{reinterpret_cast<std::byte*>(gradients.data()), gradients.size(),
                      DType::float32};
  net.begin(all_reduce_call(sums, sums, ReduceOp::sum, net.size()), Deadline{});
  const double start = start_together();
  run_pipeline_step(task.step, net, {messages.data(), messages.size(), DType::uint8}, sums,
                    compute);
  const double seconds = MPI_Wtime() - start;
  check_sums(gradients, net.size() / task.step.stages);
  return seconds;
}

std::vector<Line> run_path(Transport& net, const Task& task) {
  std::vector<std::byte> memory(2 * task.bytes);
  const Elements both{memory.data(), memory.size(), DType::uint8};
  const Elements first = both.first(task.bytes), second = both.subspan(task.bytes, task.bytes);
  const int last = net.size() - 1;
  std::vector<Line> lines{{"first", 0}, {"second", 0}};
  net.begin(broadcast_call(both, 0, net.size()), Deadline{});
  const double start = start_together();
  if (net.rank() == 0) {
    net.post_send(first, last);
    net.post_send(second, last);
    net.complete();
  } else if (net.rank() == last) {
    const Ticket tickets[] = {net.post_receive(first, 0), net.post_receive(second, 0)};
    for (int i : {0, 1}) {
      net.complete(tickets[i]);
      lines[static_cast<std::size_t>(i)].seconds = MPI_Wtime() - start;
    }
  }
  return lines;
}

std::vector<Line> lines_of(Transport& net, const Task& task) {
  if (task.algorithm) return {{task.name, run_algorithm(net, task)}};
  if (task.step.reduce) return {{task.name, run_step(net, task)}};
  return run_path(net, task);
}

void run(Transport& net, const Task& task, int per_node) {
  for (auto& [name, seconds] : lines_of(net, task)) {
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD));
    if (net.rank() != 0) continue;
    std::printf("%s %s %d %d %zu %.9g\n", task.group.c_str(), name.c_str(), net.size(), per_node,
                task.bytes, seconds);
    std::fflush(stdout);
  }
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
