// SPDX-License-Identifier: Apache-2.0
#include "slurm/preflight/findings.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "runtime/base/format.hpp"
#include "slurm/request.hpp"

namespace lockstep::slurm {

namespace {

constexpr double kClockSeconds =
    1;  // time stamps of files and logs are compared by people and make

using Facts = std::vector<RankFacts>;

// Node -> its ranks, in their order.
std::map<int, Facts> by_node(const Facts& facts) {
  std::map<int, Facts> nodes;
  for (const RankFacts& rank : facts)
    nodes[rank.node].push_back(rank);
  return nodes;
}

std::string join(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts)
    all += (all.empty() ? "" : "; ") + text;
  return all;
}

// Good with `fine`, or a finding with all that is wrong.
Finding finding(const std::string& what, const std::string& fine,
                const std::vector<std::string>& wrong, const std::string& remedy,
                Grade grade = Grade::problem) {
  if (wrong.empty()) return {what, Grade::good, fine, ""};
  return {what, grade, join(wrong), remedy};
}

Finding judge_nodes(const SlurmSection& s, const std::map<int, Facts>& nodes) {
  std::vector<std::string> wrong;
  if (static_cast<int>(nodes.size()) != s.nodes) {
    wrong.push_back(format("asked for %d nodes, the ranks are on %zu", s.nodes, nodes.size()));
  }
  for (const auto& [node, ranks] : nodes) {
    if (static_cast<int>(ranks.size()) == s.ranks_per_node) continue;
    wrong.push_back(format("%s has %zu ranks instead of %d", ranks[0].host.c_str(), ranks.size(),
                           s.ranks_per_node));
  }
  return finding("nodes", format("%d of %d ranks each", s.nodes, s.ranks_per_node), wrong,
                 "start all ranks in one allocation, by srun with the type of MPI that this MPI "
                 "library speaks (slurm.mpi, srun --mpi=list) or by mpirun (slurm.launcher)");
}

// Ranks that were all given the same cores divide them; others must not overlap.
Finding judge_cores(const SlurmSection& s, const std::map<int, Facts>& nodes) {
  std::vector<std::string> wrong;
  for (const auto& [node, ranks] : nodes) {
    const std::string host = ranks[0].host;
    std::set<int> cores;
    std::size_t sum = 0;
    for (const RankFacts& rank : ranks) {
      cores.insert(rank.cores.begin(), rank.cores.end());
      sum += rank.cores.size();
    }
    const bool same = sum == cores.size() * ranks.size();
    const int threads = same ? ranks[0].threads / static_cast<int>(ranks.size()) : ranks[0].threads;
    if (threads < s.cpus_per_rank) {
      wrong.push_back(format("a rank on %s has %d cores instead of %d", host.c_str(), threads,
                             s.cpus_per_rank));
    } else if (cores.size() < ranks.size()) {
      wrong.push_back(
          format("%zu ranks on %s share %zu cores", ranks.size(), host.c_str(), cores.size()));
    } else if (!same && sum != cores.size()) {
      wrong.push_back("ranks on " + host + " were bound to the same cores");
    }
  }
  return finding("cores", "every rank has cores of its own", wrong,
                 "ask for them with slurm.cpus_per_rank, and do not let the launcher bind several "
                 "ranks to one core (srun --cpu-bind=cores, mpirun --bind-to none)");
}

Finding judge_gpus(const SlurmSection& s, const std::map<int, Facts>& nodes) {
  std::vector<std::string> wrong;
  for (const auto& [node, ranks] : nodes) {
    std::map<std::string, int> users;
    std::set<std::string> seen;
    for (const RankFacts& rank : ranks) {
      seen.insert(rank.gpus.begin(), rank.gpus.end());
      ++users[rank.gpu()];
    }
    if (static_cast<int>(seen.size()) < gpus_per_node(s)) {
      wrong.push_back(format("%s shows %zu GPUs instead of %d", ranks[0].host.c_str(), seen.size(),
                             gpus_per_node(s)));
    }
    for (const auto& [gpu, count] : users) {
      if (gpu.empty() || count == 1) continue;
      wrong.push_back(
          format("%d ranks on %s would take GPU %s", count, ranks[0].host.c_str(), gpu.c_str()));
    }
  }
  return finding("GPUs", format("every rank has %d of its own", s.gpus_per_rank), wrong,
                 "ask for them with slurm.gpus_per_rank, and start no more ranks on a node than it "
                 "has GPUs; nvidia-smi on that node says whether one is missing");
}

// A job that would take a CPU instead is slow, not wrong.
Finding judge_cuda(const JobConfig& job, const std::map<int, Facts>& nodes) {
  std::vector<std::string> wrong;
  for (const auto& [node, ranks] : nodes) {
    if (!ranks[0].cuda_note.empty()) wrong.push_back(ranks[0].host + ": " + ranks[0].cuda_note);
  }
  return finding("CUDA", "every node can use its GPUs", wrong,
                 "build with CUDA (preset cuda) on a node of that kind, and see nvidia-smi there",
                 job.job.device == "cuda" ? Grade::problem : Grade::warning);
}

Finding judge_data(const std::map<int, Facts>& nodes) {
  std::vector<std::string> wrong;
  const std::int64_t first = nodes.begin()->second[0].data_tokens;
  for (const auto& [node, ranks] : nodes) {
    const RankFacts& leader = ranks[0];
    if (!leader.data_error.empty()) {
      wrong.push_back(leader.host + ": " + leader.data_error);
    } else if (leader.data_tokens != first) {
      wrong.push_back(format("%s reads %lld training tokens, the first node %lld",
                             leader.host.c_str(), static_cast<long long>(leader.data_tokens),
                             static_cast<long long>(first)));
    }
  }
  return finding("data",
                 format("every node reads %lld training tokens", static_cast<long long>(first)),
                 wrong, "put data.path on a file system that all nodes mount, the same on each");
}

Finding judge_run_dir(const std::map<int, Facts>& nodes) {
  std::vector<std::string> wrong;
  for (const auto& [node, ranks] : nodes) {
    if (ranks[0].run_dir_error.empty()) continue;
    wrong.push_back(ranks[0].host + ": " + ranks[0].run_dir_error);
  }
  return finding("run directory", "every node writes it, and sees what the first writes", wrong,
                 "put job.run_dir on a file system that all nodes mount and may write");
}

Finding judge_clocks(const Facts& facts) {
  const auto [least, most] = std::minmax_element(
      facts.begin(), facts.end(),
      [](const RankFacts& a, const RankFacts& b) { return a.clock_offset < b.clock_offset; });
  const double apart = most->clock_offset - least->clock_offset;
  std::vector<std::string> wrong;
  if (apart > kClockSeconds) {
    wrong.push_back(
        format("%s is %.1f s ahead of %s", most->host.c_str(), apart, least->host.c_str()));
  }
  return finding(
      "clocks", format("%.3f s apart", apart), wrong,
      "tell the administrators: chronyd or ntpd does not run there; times in logs and of "
      "files mislead until it does",
      Grade::warning);
}

// Everything must be what the first rank has.
Finding judge_same(const std::string& what, const Facts& facts, std::string RankFacts::*member,
                   const std::string& remedy, Grade grade) {
  std::vector<std::string> wrong;
  std::set<std::string> said;
  for (const RankFacts& rank : facts) {
    const std::string& value = rank.*member;
    if (value == facts[0].*member || !said.insert(value).second) continue;
    wrong.push_back(rank.host + " has " + value + ", " + facts[0].host + " " + facts[0].*member);
  }
  return finding(what, facts[0].*member, wrong, remedy, grade);
}

}  // namespace

std::vector<Finding> judge_facts(const JobConfig& job, const Facts& facts) {
  const SlurmSection& s = job.slurm;
  const auto nodes = by_node(facts);
  std::vector<Finding> all = {judge_nodes(s, nodes), judge_cores(s, nodes)};
  if (s.gpus_per_rank > 0) {
    all.push_back(judge_gpus(s, nodes));
    all.push_back(judge_cuda(job, nodes));
  }
  all.push_back(judge_data(nodes));
  all.push_back(judge_run_dir(nodes));
  all.push_back(judge_clocks(facts));
  all.push_back(judge_same("software", facts, &RankFacts::software,
                           "run one build, with one MPI library, on all nodes (slurm.program, "
                           "slurm.modules)",
                           Grade::problem));
  all.push_back(judge_same(
      "processors", facts, &RankFacts::processor,
      "ask for nodes of one kind (slurm.constraint): the slowest sets the pace", Grade::warning));
  return all;
}

std::vector<std::string> link_names(const LinkRates& links, const Facts& facts) {
  std::vector<std::string> names;
  for (const RankFacts& rank : facts) {
    if (!links.of_nodes) names.push_back("rank " + std::to_string(rank.rank));
    if (links.of_nodes && rank.local_rank == 0) names.push_back(rank.host);
  }
  return names;
}

}  // namespace lockstep::slurm
