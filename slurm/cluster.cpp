// SPDX-License-Identifier: Apache-2.0
#include "slurm/cluster.hpp"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "runtime/base/error.hpp"
#include "slurm/command.hpp"
#include "slurm/request.hpp"

namespace lockstep::slurm {

namespace {

constexpr int kMost = 1'000'000;  // of anything in one line: sums of them fit

// The number at the start; 0 if there is none ("n/a"). Slurm writes 96+ for "96 or more".
int leading_number(const std::string& text) {
  return static_cast<int>(std::clamp(std::strtol(text.c_str(), nullptr, 10), 0L, long{kMost}));
}

Partition& entry(std::vector<Partition>& all, const std::string& name) {
  for (Partition& one : all) {
    if (one.name == name) return one;
  }
  return all.emplace_back(Partition{.name = name});
}

const Partition* chosen(const SlurmSection& slurm, const std::vector<Partition>& all) {
  for (const Partition& one : all) {
    if (slurm.partition.empty() ? one.preset : one.name == slurm.partition) return &one;
  }
  return nullptr;
}

std::string names_of(const std::vector<Partition>& all) {
  std::string text;
  for (const Partition& one : all)
    text += (text.empty() ? "" : ", ") + one.name;
  return text;
}

void at_most(const std::string& asked, int wanted, int present, const std::string& what,
             const Partition& partition) {
  if (wanted <= present) return;
  throw ConfigError(asked + " is " + std::to_string(wanted) + " " + what + ", but partition " +
                    partition.name + " has " + std::to_string(present));
}

// Slurm takes such a job into the queue, and never starts it.
void check_time(const std::string& time, const Partition& partition) {
  const auto asked = seconds_of(time), allowed = seconds_of(partition.longest);
  if (!asked || !allowed || *asked <= *allowed) return;
  throw ConfigError("slurm.time = \"" + time + "\" is longer than partition " + partition.name +
                    " allows, " + partition.longest);
}

std::string product(const char* key, int value, int ranks) {
  return std::string(key) + " = " + std::to_string(value) +
         " x slurm.ranks_per_node = " + std::to_string(ranks);
}

}  // namespace

int count_gpus(const std::string& resources) {
  int gpus = 0;
  std::istringstream entries(resources);
  for (std::string one; std::getline(entries, one, ',');) {
    if (one.rfind("gpu:", 0) != 0) continue;
    one = one.substr(0, one.find('('));
    gpus += leading_number(one.substr(one.rfind(':') + 1));
  }
  return gpus;
}

std::vector<std::string> cluster_question() {
  return {"sinfo", "--noheader", "--all", "--format=%P|%D|%c|%l|%G"};
}

std::vector<Partition> parse_partitions(const std::string& sinfo) {
  std::vector<Partition> all;
  std::istringstream lines(sinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name, nodes, cpus, longest, resources;
    std::getline(fields, name, '|');
    std::getline(fields, nodes, '|');
    std::getline(fields, cpus, '|');
    std::getline(fields, longest, '|');
    std::getline(fields, resources);
    const bool preset = !name.empty() && name.back() == '*';
    if (preset) name.pop_back();
    if (name.empty()) continue;
    Partition& partition = entry(all, name);
    partition.preset = preset;
    partition.nodes += leading_number(nodes);
    partition.longest = longest;
    partition.cpus_per_node = std::max(partition.cpus_per_node, leading_number(cpus));
    partition.gpus_per_node = std::max(partition.gpus_per_node, count_gpus(resources));
  }
  return all;
}

void check_cluster(const SlurmSection& s, const std::vector<Partition>& partitions) {
  if (partitions.empty()) return;
  const Partition* partition = chosen(s, partitions);
  if (!partition && s.partition.empty()) {
    throw ConfigError("slurm.partition is not given and this cluster has no default; it has " +
                      names_of(partitions));
  }
  // A list of partitions is Slurm's to judge.
  if (!partition && s.partition.find(',') != std::string::npos) return;
  if (!partition) {
    throw ConfigError("slurm.partition = \"" + s.partition +
                      "\" is not one of this cluster's: " + names_of(partitions));
  }
  at_most("slurm.nodes", s.nodes, partition->nodes, "nodes", *partition);
  at_most(product("slurm.gpus_per_rank", s.gpus_per_rank, s.ranks_per_node), gpus_per_node(s),
          partition->gpus_per_node, "GPUs of a node", *partition);
  at_most(product("slurm.cpus_per_rank", s.cpus_per_rank, s.ranks_per_node),
          s.cpus_per_rank * s.ranks_per_node, partition->cpus_per_node, "cores of a node",
          *partition);
  check_time(s.time, *partition);
}

std::vector<Partition> ask_cluster() {
  const CommandResult answer = run_command(cluster_question());
  return answer.status == 0 ? parse_partitions(answer.out) : std::vector<Partition>{};
}

}  // namespace lockstep::slurm
