// SPDX-License-Identifier: Apache-2.0
#include "collectives/algorithms/shared_steps.hpp"

#include <algorithm>
#include <limits>
#include <vector>

namespace lockstep {

namespace {

constexpr std::size_t kFetchedBytes = std::size_t{128} << 10;  // of all ranks together

std::size_t piece_bytes(int ranks) {
  return std::max<std::size_t>(kFetchedBytes / static_cast<std::size_t>(ranks), 4096);
}

void reduce_addressed(Transport& net, SharedMemory& memory, const Elements& out, const Block& block,
                      ReduceOp op) {
  net.combine_all({&out, 1}, memory.shown_by_all(net.size(), block), op);
}

void reduce_fetched(Transport& net, SharedMemory& memory, const Elements& out, const Block& block,
                    ReduceOp op) {
  const auto p = static_cast<std::size_t>(net.size()), me = static_cast<std::size_t>(net.rank());
  const std::size_t most = piece_bytes(net.size()) / size_of(out.dtype);
  const Elements scratch = net.scratch(most * p, out.dtype);
  std::vector<Elements> all(p);
  for (std::size_t at = 0; at < block.count; at += most) {
    const std::size_t n = std::min(most, block.count - at);
    for (std::size_t r = 0; r < p; ++r) {
      all[r] = scratch.subspan(r * n, n);
      if (r == me) {
        all[r] = memory.shown(net.rank()).subspan(block.begin + at, n);
      } else {
        memory.fetch(all[r], static_cast<int>(r), block.begin + at);
      }
    }
    const Elements sum = out.subspan(at, n);
    net.combine_all({&sum, 1}, all, op);
  }
}

}  // namespace

bool shares_calls(const GroupShape& group) {
  return group.shared_memory && (group.memory == MemoryKind::shared || group.reads_private);
}

void reduce_shown(Transport& net, SharedMemory& memory, const Elements& out, const Block& block,
                  ReduceOp op) {
  if (block.count == 0) return;
  if (memory.addressable()) return reduce_addressed(net, memory, out, block, op);
  reduce_fetched(net, memory, out, block, op);
}

double reduce_shown_seconds(const GroupShape& group, double bytes, const Links& links) {
  const int p = group.ranks;
  const double pieces = 1 + bytes / static_cast<double>(piece_bytes(p));
  return p * bytes * links.shared.reduce +
         fetch_seconds(group, (p - 1) * bytes, (p - 1) * pieces, links);
}

double fetch_seconds(const GroupShape& group, double bytes, double messages, const Links& links) {
  if (group.memory == MemoryKind::shared) return 0;
  if (!group.reads_private) return std::numeric_limits<double>::infinity();
  return messages * links.shared.reach + bytes * links.shared.fetch;
}

double synchronisation_seconds(const GroupShape& group, int times, const Links& links) {
  const double sync = group.crowded ? links.shared.crowded_sync : links.shared.sync;
  return group.ranks == 1 ? 0 : times * group.ranks * sync;
}

Block slice_of(const Call& call, int ranks, int i) {
  const std::size_t line = 64 / size_of(call.dtype), lines = (call.count() + line - 1) / line;
  const Block in_lines = block_bounds(lines, ranks, i);
  const std::size_t begin = std::min(in_lines.begin * line, call.count());
  const std::size_t end = std::min((in_lines.begin + in_lines.count) * line, call.count());
  return {begin, end - begin};
}

}  // namespace lockstep
