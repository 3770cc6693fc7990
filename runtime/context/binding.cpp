// SPDX-License-Identifier: Apache-2.0
#include "runtime/context/binding.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include <omp.h>

#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

bool overlap(const CoreSet& a, const CoreSet& b) {
  CoreSet both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return !both.empty();
}

// The i-th of n near-equal runs of neighbouring cores.
CoreSet share_of(const CoreSet& cores, int n, int i) {
  const std::size_t count = cores.size();
  return {cores.begin() + count * i / n, cores.begin() + count * (i + 1) / n};
}

// What every rank of the node brings, in the order of local ranks.
std::vector<CoreSet> exchange(const CoreSet& mine, const Context& context) {
  const MPI_Comm node = context.node_comm();
  const int count = static_cast<int>(mine.size());
  std::vector<int> counts(context.local_size()), begins(context.local_size());
  check_mpi(MPI_Allgather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, node));

  int total = 0;
  for (std::size_t i = 0; i < counts.size(); total += counts[i++])
    begins[i] = total;
  std::vector<int> all(total);
  check_mpi(MPI_Allgatherv(mine.data(), count, MPI_INT, all.data(), counts.data(), begins.data(),
                           MPI_INT, node));

  std::vector<CoreSet> sets;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    sets.emplace_back(all.begin() + begins[i], all.begin() + begins[i] + counts[i]);
  }
  return sets;
}

}  // namespace

std::string text_of(const CoreSet& cores) {
  std::string text;
  for (std::size_t i = 0; i < cores.size();) {
    std::size_t last = i;
    while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1)
      ++last;
    if (i > 0) text += ',';
    text += std::to_string(cores[i]);
    if (last > i) text.append("-").append(std::to_string(cores[last]));
    i = last + 1;
  }
  return text;
}

BindingPlan plan_binding(const std::vector<CoreSet>& allowed, int local_rank) {
  const CoreSet& mine = allowed.at(local_rank);
  int sharers = 0, before_me = 0;
  bool all_equal = true;
  for (int r = 0; r < static_cast<int>(allowed.size()); ++r) {
    if (r != local_rank && !overlap(mine, allowed[r])) continue;
    ++sharers;
    before_me += r < local_rank;
    all_equal = all_equal && allowed[r] == mine;
  }

  const int cores = static_cast<int>(mine.size());
  const int even = std::max(cores / sharers, 1);
  // Masks that overlap in part are the launcher's own idea: kept, but not crowded.
  if (sharers == 1 || sharers > cores || !all_equal) return {BindingAction::keep, mine, even};
  CoreSet share = share_of(mine, sharers, before_me);
  const int threads = static_cast<int>(share.size());
  return {BindingAction::bind, std::move(share), threads};
}

Binding bind_to_cores(const Context& context, const Topology& topology) {
  const std::vector<CoreSet> allowed = exchange(topology.allowed_cores(), context);
  const BindingPlan plan = plan_binding(allowed, context.local_rank());
  const std::string cores = (plan.cores.size() == 1 ? "core " : "cores ") + text_of(plan.cores);

  Binding binding;
  binding.cores = plan.threads;
  binding.ours = plan.action == BindingAction::bind && topology.bind(plan.cores);
  if (binding.ours) {
    binding.description = "bound to " + cores;
  } else if (static_cast<int>(plan.cores.size()) < topology.hardware().cores) {
    binding.description = "bound by the launcher to " + cores;
  } else {
    binding.description = "not bound: " + cores;
  }
  return binding;
}

int choose_threads(const char* omp_num_threads, int job_threads, int cores) {
  const int from_environment = omp_num_threads ? std::atoi(omp_num_threads) : 0;
  if (from_environment > 0) return from_environment;  // of a list "4,2" the outer level
  return job_threads > 0 ? job_threads : cores;
}

int set_threads(int job_threads, const Binding& binding) {
  const int threads = choose_threads(std::getenv("OMP_NUM_THREADS"), job_threads, binding.cores);
  if (threads > binding.cores) {
    log_info(std::to_string(threads) + " threads on " + std::to_string(binding.cores) +
             (binding.cores == 1 ? " core" : " cores") + ": lower " +
             (std::getenv("OMP_NUM_THREADS") ? "OMP_NUM_THREADS" : "job.threads") +
             " or start fewer ranks on this node");
  }
  omp_set_num_threads(threads);
  return threads;
}

}  // namespace lockstep
