// SPDX-License-Identifier: Apache-2.0
// What one rank sees before a job starts: its node, cores, GPUs, software, and whether data and run
// directory are there. Sent to rank 0 as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/config/job_config.hpp"
#include "runtime/context/context.hpp"

namespace lockstep::slurm {

struct RankFacts {
  int rank = 0, node = 0, local_rank = 0;
  std::string host;
  std::vector<int> cores;         // that it may use
  int threads = 0;                // hardware threads that it may use
  std::vector<std::string> gpus;  // that it sees: CUDA's ids, or what CUDA_VISIBLE_DEVICES names
  std::string cuda_note;          // why CUDA can use none of them; empty if it can
  std::string software;           // version and compiler of lockstep, MPI library
  std::string processor;
  double clock_offset = 0;       // seconds that this clock is ahead of rank 0's
  std::int64_t data_tokens = 0;  // training tokens that it reads
  std::string data_error, run_dir_error;

  // The one that it will take (runtime/device/gpu_choice.hpp); "" without GPUs.
  std::string gpu() const;
};

std::string to_json(const RankFacts& facts);
RankFacts facts_from_json(const std::string& text);

// Collective. On rank 0 the facts of all ranks in their order, elsewhere nothing. `software` names
// the build of lockstep.
std::vector<RankFacts> collect_facts(const Context& context, const JobConfig& job,
                                     const std::string& run_dir, const std::string& software);

}  // namespace lockstep::slurm
