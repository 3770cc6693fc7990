// SPDX-License-Identifier: Apache-2.0
// Every way in which a group can be served, and a Problem carried out through a Communicator.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "collectives/algorithms/table.hpp"
#include "collectives/backend.hpp"
#include "collectives/backends/native.hpp"
#include "collectives/backends/table.hpp"
#include "collectives/communicator.hpp"
#include "tests/collectives/problem.hpp"

namespace lockstep::test {

inline Device& device() {
  static const auto the_device = make_cpu_device();
  return *the_device;
}

// Some empty, one much larger than the rest.
inline Blocks uneven_blocks(int p, std::size_t seed) {
  std::vector<std::size_t> counts;
  for (int r = 0; r < p; ++r) {
    const std::size_t k = seed + static_cast<std::size_t>(r) * 7;
    counts.push_back(k % 3 == 0 ? 0 : k % 5 == 0 ? 1000 : k % 19);
  }
  return Blocks(counts);
}

// Each backend, then native once more with each algorithm that can be named for the ranks of
// `comm`.
inline std::vector<CommunicatorOptions> every_service(MPI_Comm comm) {
  const GroupShape group = native::make(comm, {})->shape();
  std::vector<CommunicatorOptions> all;
  for (const BackendEntry& backend : backends())
    all.push_back({.backend = backend.name, .timeout_seconds = 30});
  std::set<std::string> names;
  for (const Algorithm* algorithm : algorithms()) {
    if (!algorithm->refusal(group)) names.emplace(algorithm->name());
  }
  for (const std::string& name : names)
    all.push_back({.backend = "native", .algorithm = name, .timeout_seconds = 30});
  return all;
}

inline std::string text_of(const CommunicatorOptions& options) {
  return options.backend + "/" + options.algorithm;
}

// Whether the group can answer, and, where an algorithm was named, whether that one would.
inline bool serves(const Communicator& group, const CommunicatorOptions& options,
                   const Problem& problem) {
  const Call call{.what = problem.what,
                  .dtype = problem.dtype,
                  .blocks = problem.blocks,
                  .op = problem.op,
                  .root = problem.root};
  if (group.backend().candidates(call).empty()) return false;
  return options.algorithm == "auto" ||
         group.backend().choose(call).label == options.backend + "/" + options.algorithm;
}

// A view of what a call reads or writes, in memory that `owner` keeps.
inline Tensor tensor_over(Device& device, const std::shared_ptr<void>& owner, const Elements& e) {
  return Tensor::over(device, {owner, e.data}, {static_cast<std::int64_t>(e.count)}, e.dtype);
}

inline Work submit(const Communicator& group, const Problem& problem, Tensor out,
                   const Tensor& in) {
  const auto& [what, ranks, blocks, dtype, op, root, place] = problem;
  switch (what) {
    case Collective::all_reduce:
      return group.all_reduce(out, in, op);
    case Collective::reduce_scatter:
      return group.reduce_scatter(out, in, op, blocks);
    case Collective::all_gather:
      return group.all_gather(out, in, blocks);
    case Collective::broadcast:
      return group.broadcast(out, root);
    case Collective::reduce:
      return group.reduce(out, in, op, root);
    case Collective::all_to_all:
      return group.all_to_all(out, in);
    case Collective::gather:
      return group.gather(out, in, root, blocks);
    case Collective::scatter:
      return group.scatter(out, in, root, blocks);
    default:
      return group.barrier();
  }
}

// Two buffers of one rank, which problems are laid into.
class Arena {
 public:
  Arena(std::shared_ptr<void> memory, std::size_t half) : memory_(std::move(memory)), half_(half) {}

  Work submit(const Communicator& group, Device& device, const Problem& problem, Side& side) const {
    expect(side.in_bytes() <= half_ && side.out_bytes() <= half_, "an arena too small");
    auto* const begin = static_cast<std::byte*>(memory_.get());
    const Call call = side.call(begin, begin + half_);
    return test::submit(group, problem, tensor_over(device, memory_, call.out),
                        tensor_over(device, memory_, call.in));
  }

 private:
  std::shared_ptr<void> memory_;
  std::size_t half_;
};

}  // namespace lockstep::test
