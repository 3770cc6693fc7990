// SPDX-License-Identifier: Apache-2.0
// Which cores a rank computes on, and with how many threads.
//
// A launcher that gave each rank of the node cores of its own is obeyed. Where ranks were given the
// same cores (a launcher that binds to sockets, or not at all), they divide them evenly among
// themselves and each binds itself. More ranks than cores: nobody is bound, one thread each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/context/context.hpp"
#include "runtime/context/topology.hpp"

namespace lockstep {

enum class BindingAction : std::uint8_t { keep, bind };

struct BindingPlan {
  BindingAction action = BindingAction::keep;
  CoreSet cores;    // bind: these; keep: those that were allowed before
  int threads = 1;  // how many of them are this rank's to use
};

// `allowed` holds the cores that each rank of the node may use.
BindingPlan plan_binding(const std::vector<CoreSet>& allowed, int local_rank);

struct Binding {
  int cores = 1;            // the threads that this rank may run without crowding the others
  std::string description;  // "bound to cores 0-3", for the log
  bool ours = false;        // we bound, not the launcher
};

// Reads the affinity of this node's ranks and binds this one; collective. The process is bound, so
// threads started later (OpenMP, the communication worker) inherit it: call it before them.
Binding bind_to_cores(const Context& context, const Topology& topology);

// Threads of OpenMP: $OMP_NUM_THREADS as the user set it (nullptr or "" if not), else the job's
// own number (0 if not given), else the rank's cores.
int choose_threads(const char* omp_num_threads, int job_threads, int cores);

// Applies choose_threads() to this process and returns the number; says so when it exceeds the
// rank's cores.
int set_threads(int job_threads, const Binding& binding);

std::string text_of(const CoreSet& cores);  // "0-3,8"

}  // namespace lockstep
