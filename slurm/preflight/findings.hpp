// SPDX-License-Identifier: Apache-2.0
// What `lockstep check` has to say: each thing that it looked at, good or bad, and for what is bad
// the remedy. Pure: the facts come from elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/config/job_config.hpp"
#include "slurm/preflight/facts.hpp"
#include "slurm/preflight/links.hpp"

namespace lockstep::slurm {

enum class Grade : std::uint8_t { good, warning, problem };

struct Finding {
  std::string what;  // "nodes", "cores", ...
  Grade grade = Grade::good;
  std::string text;
  std::string remedy;  // of a warning or problem
};

// `facts` of all ranks in their order.
std::vector<Finding> judge_facts(const JobConfig& job, const std::vector<RankFacts>& facts);

// A link below half of the median rate is slow, and a node whose links mostly are is named instead
// of them. With fewer than three participants there is nothing to compare.
std::vector<Finding> judge_links(const LinkRates& links, const std::vector<std::string>& names);

// The first ranks' hosts (of nodes), or "rank 0", ...
std::vector<std::string> link_names(const LinkRates& links, const std::vector<RankFacts>& facts);

}  // namespace lockstep::slurm
