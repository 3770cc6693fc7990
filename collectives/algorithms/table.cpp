// SPDX-License-Identifier: Apache-2.0
#include "collectives/algorithms/table.hpp"

namespace lockstep {

// clang-format off
extern const Algorithm
    all_gather_bruck,
    all_gather_recursive_doubling,
    all_gather_ring,
    all_gather_shared,
    all_reduce_binomial,
    all_reduce_double_tree,
    all_reduce_halving_doubling,
    all_reduce_hierarchical,
    all_reduce_hierarchical_leader,
    all_reduce_recursive_doubling,
    all_reduce_ring,
    all_reduce_segmented_ring,
    all_reduce_shared_flat,
    all_reduce_shared_slice,
    all_to_all_bruck,
    all_to_all_pairwise,
    all_to_all_shared,
    barrier_dissemination,
    barrier_shared,
    broadcast_binomial,
    broadcast_chain,
    broadcast_scatter_all_gather,
    broadcast_shared,
    gather_binomial,
    gather_linear,
    reduce_binomial,
    reduce_reduce_scatter_gather,
    reduce_scatter_pairwise,
    reduce_scatter_recursive_halving,
    reduce_scatter_ring,
    reduce_scatter_shared,
    scatter_binomial,
    scatter_linear;

namespace {

// Of two that cost the same the first is taken.
constexpr const Algorithm* kAlgorithms[] = {
    &all_gather_shared,
    &all_gather_ring,
    &all_gather_recursive_doubling,
    &all_gather_bruck,

    &all_reduce_shared_flat,
    &all_reduce_shared_slice,
    &all_reduce_ring,
    &all_reduce_segmented_ring,
    &all_reduce_recursive_doubling,
    &all_reduce_halving_doubling,
    &all_reduce_binomial,
    &all_reduce_double_tree,
    &all_reduce_hierarchical,
    &all_reduce_hierarchical_leader,

    &all_to_all_shared,
    &all_to_all_pairwise,
    &all_to_all_bruck,

    &barrier_shared,
    &barrier_dissemination,

    &broadcast_shared,
    &broadcast_binomial,
    &broadcast_chain,
    &broadcast_scatter_all_gather,

    &gather_binomial,
    &gather_linear,

    &reduce_binomial,
    &reduce_reduce_scatter_gather,

    &reduce_scatter_shared,
    &reduce_scatter_ring,
    &reduce_scatter_recursive_halving,
    &reduce_scatter_pairwise,

    &scatter_binomial,
    &scatter_linear,
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
