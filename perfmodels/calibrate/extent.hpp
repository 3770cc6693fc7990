// SPDX-License-Identifier: Apache-2.0
// How much a calibration measures: sizes, rounds and time. The sizes are powers of 4 or 8, those of
// no particular job.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "collectives/call.hpp"

namespace lockstep {

// Tensors on which a kernel works in turn: of more bytes than a core's own caches hold, or than any
// cache.
struct InTurn {
  double cached_bytes = 4 << 20;
  std::size_t memory_bytes = std::size_t{64} << 20;
  std::size_t most_sets = 1 << 20;  // of what is found in memory
  double shortest = 20e-6;  // seconds timed at once: the clock's resolution is below 0.2 % of it
};

struct Extent {
  double seconds = 60;  // in all, about
  int rounds = 3;
  double narrow = 0.02;  // intervals of that share of their median are narrow enough

  // Every m, n, k of these of which no product exceeds the FLOPs.
  std::vector<std::int64_t> products{32, 128, 512, 2048};
  double most_flops = 2.2e9;
  double most_bytes = std::numeric_limits<double>::infinity();  // that one kernel works on
  InTurn in_turn{};
  std::int64_t least_elements = 1 << 10, most_elements = 1 << 22;  // of streaming kernels, by 4
  std::vector<std::int64_t> attention_tokens{32, 128, 512, 2048}, attention_channels{32, 64, 128};
  std::int64_t bandwidth_elements = 1 << 23;

  std::size_t least_message = 8, most_message = 16 << 20;
  int message_steps = 2;  // sizes from one power of 2 to the next
  int prtt_messages = 16;
  std::int64_t busy_width = 256;               // of products that keep a rank at work, a power of 2
  std::int64_t overlapped_elements = 1 << 21;  // of a sum beside them, at most
  double overlapping_seconds = 30e-3;          // of them: longer than the sum
  int skew_slices = 64;  // of 0.7 ms: what ranks compute before it is looked at who was slower

  std::vector<Collective> collectives{
      Collective::all_reduce, Collective::reduce_scatter, Collective::all_gather,
      Collective::broadcast,  Collective::reduce,         Collective::all_to_all,
      Collective::gather,     Collective::scatter,        Collective::barrier};
  std::size_t least_vector = 64, most_vector = 16 << 20;  // by 8
  int refinements = 5;                                    // how often midpoints are added
};

// Under 15 s on two cores: the collectives of data-parallel training, no midpoints, two rounds.
inline Extent quick_extent() {
  Extent e;
  e.seconds = 10;
  e.rounds = 2;
  e.narrow = 0.05;
  e.products = {64, 256, 1024};
  e.most_flops = 6e8;
  e.most_elements = 1 << 20;
  e.attention_tokens = {64, 256};
  e.attention_channels = {32, 64};
  e.bandwidth_elements = 1 << 22;
  e.most_message = 4 << 20;
  e.message_steps = 1;
  e.skew_slices = 16;
  e.collectives = {Collective::all_reduce, Collective::reduce_scatter, Collective::all_gather,
                   Collective::broadcast};
  e.most_vector = 16 << 20;
  e.refinements = 0;
  return e;
}

// For a GPU of so much memory: what keeps one busy is larger, and what a step does there as well
// (the head of a model is as wide as its vocabulary). A set of small tensors more or less does not
// matter: launching them takes longer than memory does.
inline Extent on_gpus(Extent e, double memory_bytes) {
  const bool quick = e.rounds < Extent{}.rounds;
  e.products = quick ? std::vector<std::int64_t>{512, 2048, 8192, 65536}
                     : std::vector<std::int64_t>{128, 512, 2048, 8192, 65536};
  e.most_flops = quick ? 1.2e12 : 2.3e12;
  e.most_bytes = memory_bytes / 8;
  e.in_turn = {.cached_bytes = 128 << 20,
               .memory_bytes = std::size_t{512} << 20,
               .most_sets = 512,
               .shortest = 300e-6};  // 0.5 us
  e.least_elements = 1 << 12;
  e.most_elements = 1 << 30;  // logits; parameters
  e.attention_tokens = quick ? std::vector<std::int64_t>{256, 1024}
                             : std::vector<std::int64_t>{128, 512, 1024, 2048, 4096};
  e.attention_channels = {64, 128};
  e.bandwidth_elements = 1 << 27;
  e.busy_width = 1024;
  e.overlapped_elements = 1 << 24;
  e.most_message = (quick ? 64 : 256) * (std::size_t{1} << 20);
  e.most_vector = (quick ? 128 : 1024) * (std::size_t{1} << 20);
  return e;
}

}  // namespace lockstep
