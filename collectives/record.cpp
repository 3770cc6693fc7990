// SPDX-License-Identifier: Apache-2.0
#include "collectives/record.hpp"

#include <algorithm>

#include "collectives/transports/recording.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

bool of_root_only(Collective what) {
  return what == Collective::reduce || what == Collective::gather;
}

// Input and output of a rank, at addresses that stand for them.
Call call_of(Notes& notes) {
  const GroupCall& group = notes.call();
  const Block brings = group.brings(notes.rank()), gets = group.gets(notes.rank());
  const std::size_t size = size_of(group.dtype);
  Call call{.what = group.what,
            .dtype = group.dtype,
            .blocks = group.blocks,
            .op = group.op,
            .root = group.root,
            .memory = group.shape().memory};
  const bool one = group.what == Collective::broadcast ||
                   (group.buffers == Buffers::in_place && group.what != Collective::all_to_all &&
                    brings.count > 0 && gets.count > 0);
  if (one) {
    // The smaller of the two is its own block of the larger.
    const std::size_t begin = std::min(brings.begin, gets.begin);
    std::byte* data = notes.area(Area::Kind::data, std::max(brings.count, gets.count) * size);
    call.in = {data + (brings.begin - begin) * size, brings.count, group.dtype};
    call.out = {data + (gets.begin - begin) * size, gets.count, group.dtype};
  } else {
    call.in = {notes.area(Area::Kind::in, brings.count * size), brings.count, group.dtype};
    call.out = {notes.area(Area::Kind::out, gets.count * size), gets.count, group.dtype};
  }
  notes.track().in = Notes::region(call.in);
  notes.track().out = Notes::region(call.out);
  if (group.what == Collective::broadcast) call.in = call.out;
  return call;
}

Schedule record_all(const Algorithm& algorithm, const GroupCall& call, const Displays& known,
                    Displays& shown) {
  Schedule schedule{.call = call, .label = algorithm.label, .ranks = {}, .groups = {}};
  schedule.ranks.resize(static_cast<std::size_t>(call.ranks()));
  for (int r = 0; r < call.ranks(); ++r) {
    Notes notes(schedule, r, known, shown);
    const Call mine = call_of(notes);
    const auto net = make_recording_transport(notes);
    net->begin(mine, {});
    algorithm.run(*net, mine);
  }
  return schedule;
}

}  // namespace

int GroupCall::node_of(int rank) const {
  int node = 0;
  for (const int on_node : ranks_per_node) {
    if (rank < on_node) return node;
    rank -= on_node;
    ++node;
  }
  return node;
}

GroupShape GroupCall::shape() const {
  const auto& nodes = ranks_per_node;
  const bool even =
      std::adjacent_find(nodes.begin(), nodes.end(), std::not_equal_to<>()) == nodes.end();
  const int num_nodes = std::max(1, static_cast<int>(nodes.size()));
  return {.ranks = ranks(),
          .nodes = num_nodes,
          .even = even,
          .shared_memory = sharing != Sharing::none && num_nodes == 1,
          .shared_inside = sharing != Sharing::none,
          .reads_private = sharing != Sharing::none,
          .memory = sharing == Sharing::addressable ? MemoryKind::shared : MemoryKind::plain};
}

Block GroupCall::brings(int rank) const {
  switch (what) {
    case Collective::all_gather:
    case Collective::gather:
      return blocks[rank];
    case Collective::broadcast:
    case Collective::scatter:
      return {0, rank == root ? blocks.total() : 0};
    case Collective::barrier:
      return {0, 0};
    default:
      return {0, blocks.total()};
  }
}

GroupCall::Origin GroupCall::origin(int rank, std::size_t i) const {
  switch (what) {
    case Collective::all_gather:
    case Collective::gather:
      return {i, blocks.owner_of(i)};
    case Collective::broadcast:
    case Collective::scatter:
      return {i, root};
    case Collective::all_to_all: {
      const int from = blocks.owner_of(i);
      return {blocks[rank].begin + i - blocks[from].begin, from};
    }
    default:
      return {i, -1};
  }
}

Block GroupCall::gets(int rank) const {
  if (what == Collective::barrier) return {0, 0};
  if (what == Collective::reduce_scatter || what == Collective::scatter) return blocks[rank];
  return {0, of_root_only(what) && rank != root ? 0 : blocks.total()};
}

bool GroupCall::served_by(const Algorithm& algorithm) const {
  return algorithm.what == what && !algorithm.refusal(shape()) &&
         blocks.total() * size_of(dtype) <= algorithm.largest;
}

const char* name_of(Area::Kind kind) {
  constexpr const char* kNames[] = {"in", "out", "data", "scratch", "staging"};
  return kNames[static_cast<int>(kind)];
}

const char* name_of(TrackEvent::What what) {
  constexpr const char* kNames[] = {"send", "receive", "complete", "combine", "combine_all", "copy",
                                    "work", "barrier", "stage",    "show",    "fetch"};
  return kNames[static_cast<int>(what)];
}

Schedule record(const Algorithm& algorithm, const GroupCall& call) {
  Displays nothing, shown;
  Schedule schedule = record_all(algorithm, call, nothing, shown);
  if (shown.empty()) return schedule;
  Displays again;
  return record_all(algorithm, call, shown, again);
}

}  // namespace lockstep
