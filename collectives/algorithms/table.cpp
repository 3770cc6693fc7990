// SPDX-License-Identifier: Apache-2.0
#include "collectives/algorithms/table.hpp"

namespace lockstep {

// clang-format off
extern const Algorithm
    all_gather_ring,
    all_gather_shared,
    all_reduce_recursive_doubling,
    all_reduce_ring,
    all_reduce_shared_flat,
    all_reduce_shared_slice,
    all_to_all_shared,
    barrier_dissemination,
    barrier_shared,
    broadcast_binomial,
    broadcast_shared,
    reduce_scatter_ring,
    reduce_scatter_shared;

namespace {

// Of two that cost the same the first is taken.
constexpr const Algorithm* kAlgorithms[] = {
    &all_gather_shared,
    &all_gather_ring,

    &all_reduce_shared_flat,
    &all_reduce_shared_slice,
    &all_reduce_ring,
    &all_reduce_recursive_doubling,

    &all_to_all_shared,

    &barrier_shared,
    &barrier_dissemination,

    &broadcast_shared,
    &broadcast_binomial,

    &reduce_scatter_shared,
    &reduce_scatter_ring,
};
// clang-format on

}  // namespace

std::span<const Algorithm* const> algorithms() {
  return kAlgorithms;
}

const Algorithm* find_algorithm(Collective what, std::string_view name) {
  for (const Algorithm* algorithm : kAlgorithms) {
    if (algorithm->what == what && algorithm->name() == name) return algorithm;
  }
  return nullptr;
}

const char* serves_all(const GroupShape&) {
  return nullptr;
}

const char* needs_shared_memory(const GroupShape& group) {
  return group.shared_memory ? nullptr : "its ranks do not share one memory";
}

const char* needs_nodes(const GroupShape& group) {
  if (group.nodes == 1) return "all its ranks are on one node";
  return group.nodes == group.ranks ? "every rank has a node of its own" : nullptr;
}

const char* needs_even_nodes(const GroupShape& group) {
  if (const char* why = needs_nodes(group)) return why;
  return group.even ? nullptr : "its nodes have different numbers of ranks";
}

}  // namespace lockstep
