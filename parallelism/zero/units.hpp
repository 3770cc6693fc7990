// SPDX-License-Identifier: Apache-2.0
// What ZeRO cuts: parameters that travel together as one flat vector, of which each data rank keeps
// its block. Pure arithmetic, the same on every rank.
//
//   zero 1     units are buckets of bucket_bytes, across layers (layout_buckets)
//   zero 2, 3  units are layers, so that they can come and go by themselves
//
// Blocks are near-equal runs of whole 64-byte lines. Parameters that are first summed over another
// group are units of their own, and the last ones; so are those that two layers use.
#pragma once

#include <optional>
#include <vector>

#include "collectives/blocks.hpp"
#include "parallelism/data/data_parallel.hpp"

namespace lockstep {

struct Unit {
  std::vector<Parameter*> parameters{};
  std::vector<std::int64_t> offsets{};  // of each, in elements
  std::int64_t count = 0;
  Blocks blocks{};                        // one per data rank
  std::optional<Communicator> earlier{};  // summed over that group as well
  std::vector<std::size_t> layers{};      // zero 2, 3: who uses it, its owner first
};

struct UnitPlan {
  std::vector<Unit> units;
  std::vector<const Module*> layers;  // those that use units, in forward's order
};

UnitPlan plan_units(const std::vector<LayerParameters>& layers, const DataParallelOptions& options,
                    int ranks);

// Which units each layer uses; or, of those, which it owns.
enum class Whose : std::uint8_t { used, owned };
std::vector<std::vector<std::size_t>> units_of_layers(const UnitPlan& plan, Whose whose);

// Few buffers for the units: those of two layers in a row never share one, so that one can travel
// while the other is computed with. The largest unit chooses first: three buffers at most for
// layers of one unit each.
struct SharedBuffers {
  std::vector<std::size_t> of_unit;
  std::vector<std::int64_t> counts;  // elements of each buffer
};
SharedBuffers share_buffers(const UnitPlan& plan, Whose whose);

// What the rank keeps of each unit lies behind another in one vector.
std::vector<Block> kept_blocks(const std::vector<Unit>& units, int rank);

// Zeroed memory that the group moves best. Collective.
Tensor allocate_flat(const Communicator& data, Device& device, std::int64_t count, MemoryUse use,
                     DType dtype = DType::float32);

Tensor block_of(const Tensor& flat, const Unit& unit, int rank);
// Parameter i in the flat vector, and in no memory at all: a use of that would be a mistake.
Tensor view_in(const Tensor& flat, const Unit& unit, std::size_t i);
Tensor nowhere(const Tensor& like);

// What the rank updates: `value` and `grad` are its block of the unit.
void append_pieces(std::vector<Piece>& pieces, const Unit& unit, int rank, const Tensor& value,
                   const Tensor& grad);

}  // namespace lockstep
