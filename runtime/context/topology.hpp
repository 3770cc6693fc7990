// SPDX-License-Identifier: Apache-2.0
// The hardware of this node, as hwloc sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lockstep {

struct Cache {
  int level;
  std::uint64_t bytes;  // of one
  int count;
};

struct Hardware {
  std::string processor;  // model name, may be empty
  int packages = 0, cores = 0, threads = 0, numa_nodes = 0;
  std::vector<Cache> caches;  // of data, from the innermost
  std::uint64_t memory_bytes = 0;
};

using CoreSet = std::vector<int>;  // numbers of cores of this node, ascending

class Topology {
 public:
  Topology();  // costs a few milliseconds
  ~Topology();
  Hardware hardware() const;
  // The cores this process may use: its affinity mask, which the launcher may have narrowed.
  CoreSet allowed_cores() const;
  // Binds every thread of this process, and those that they start, to what the process may use of
  // `cores`. False where the system refuses.
  bool bind(const CoreSet& cores) const;

 private:
  struct Tree;
  std::unique_ptr<Tree> tree_;
};

}  // namespace lockstep
