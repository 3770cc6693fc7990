// SPDX-License-Identifier: Apache-2.0
#include "parallelism/zero/units.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include "parallelism/data/gradient_buckets.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kLine = 64 / sizeof(float);
constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max() / 2;

Blocks blocks_of_lines(std::int64_t count, int ranks) {
  std::vector<std::size_t> counts;
  for (int r = 0; r < ranks; ++r)
    counts.push_back(kLine * block_bounds(static_cast<std::size_t>(count) / kLine, ranks, r).count);
  return Blocks(counts);
}

// Groups of earlier sums by name, in an order that every rank of a stage has.
std::map<std::string, std::optional<Communicator>> groups_of(const DataParallelOptions& options) {
  std::map<std::string, std::optional<Communicator>> groups{{"", std::nullopt}};
  for (const EarlierSum& sum : options.earlier_sums)
    groups.insert({sum.group.name(), sum.group});
  return groups;
}

std::string group_of(const Parameter* p, const DataParallelOptions& options) {
  std::string name;
  for (const EarlierSum& sum : options.earlier_sums) {
    if (sum.parameter != p) continue;
    expect(name.empty(), "a gradient is summed over one group before those of its data ranks");
    name = sum.group.name();
  }
  return name;
}

class Planner {
 public:
  Planner(const std::vector<LayerParameters>& layers, const DataParallelOptions& options, int ranks)
      : layers_(layers), options_(options), ranks_(ranks) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      for (const Parameter* p : layers[i].parameters)
        owner_.emplace(p, i);  // the first
    }
  }

  UnitPlan plan() {
    for (const auto& [name, group] : groups_of(options_)) {
      group_ = group;
      options_.zero == 1 ? add_buckets(name) : add_layers(name);
    }
    number_layers();
    return std::move(plan_);
  }

 private:
  std::vector<Parameter*> of_layer(std::size_t layer, const std::string& group) const {
    std::vector<Parameter*> all;
    for (Parameter* p : layers_[layer].parameters) {
      if (owner_.at(p) == layer && group_of(p, options_) == group) all.push_back(p);
    }
    return all;
  }

  void add_buckets(const std::string& group) {
    std::vector<Parameter*> all;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      for (Parameter* p : of_layer(i, group))
        all.push_back(p);
    }
    add(all, options_.bucket_bytes, {});
  }

  void add_layers(const std::string& group) {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      std::vector<Parameter*> together;
      for (Parameter* p : of_layer(i, group)) {
        if (p->uses == 1) {
          together.push_back(p);
        } else {
          add({p}, kNoLimit, {i, second_user(p, i)});
        }
      }
      add(together, kNoLimit, {i});
    }
  }

  // The layer behind `first` that lists the parameter, or else the last one.
  std::size_t second_user(const Parameter* p, std::size_t first) const {
    for (std::size_t i = first + 1; i < layers_.size(); ++i) {
      const auto all = layers_[i].layer ? parameters_of(*layers_[i].layer) : layers_[i].parameters;
      if (std::find(all.begin(), all.end(), p) != all.end()) return i;
    }
    return layers_.size() - 1;
  }

  void add(const std::vector<Parameter*>& parameters, std::size_t bucket_bytes,
           const std::vector<std::size_t>& layers) {
    std::vector<std::int64_t> counts;
    for (const Parameter* p : parameters)
      counts.push_back(p->value.count());
    const BucketLayout layout = layout_buckets(counts, bucket_bytes);
    const std::size_t first = plan_.units.size();
    for (const std::int64_t count : layout.bucket_counts) {
      plan_.units.push_back({.count = count,
                             .blocks = blocks_of_lines(count, ranks_),
                             .earlier = group_,
                             .layers = layers});
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      Unit& unit = plan_.units[first + layout.places[i].bucket];
      unit.parameters.push_back(parameters[i]);
      unit.offsets.push_back(layout.places[i].offset);
    }
  }

  // Only layers with units count as neighbours.
  void number_layers() {
    std::set<std::size_t> used;
    for (const Unit& unit : plan_.units)
      used.insert(unit.layers.begin(), unit.layers.end());
    for (const std::size_t layer : used)
      plan_.layers.push_back(layers_[layer].layer);
    for (Unit& unit : plan_.units) {
      for (std::size_t& layer : unit.layers)
        layer = static_cast<std::size_t>(std::distance(used.begin(), used.find(layer)));
    }
  }

  const std::vector<LayerParameters>& layers_;
  const DataParallelOptions& options_;
  const int ranks_;
  std::map<const Parameter*, std::size_t> owner_;
  std::optional<Communicator> group_;
  UnitPlan plan_;
};

// Whether one of the layers is the same as one of the others, or beside it.
bool meet(const std::vector<std::size_t>& a, const std::vector<std::size_t>& b) {
  for (const std::size_t i : a) {
    for (const std::size_t j : b) {
      if (i <= j + 1 && j <= i + 1) return true;
    }
  }
  return false;
}

std::vector<std::size_t> layers_of(const Unit& unit, Whose whose) {
  if (whose == Whose::used) return unit.layers;
  return {unit.layers.front()};
}

}  // namespace

UnitPlan plan_units(const std::vector<LayerParameters>& layers, const DataParallelOptions& options,
                    int ranks) {
  return Planner(layers, options, ranks).plan();
}

std::vector<std::vector<std::size_t>> units_of_layers(const UnitPlan& plan, Whose whose) {
  std::vector<std::vector<std::size_t>> all(plan.layers.size());
  for (std::size_t u = 0; u < plan.units.size(); ++u) {
    for (const std::size_t layer : layers_of(plan.units[u], whose)) {
      if (all[layer].empty() || all[layer].back() != u) all[layer].push_back(u);
    }
  }
  return all;
}

SharedBuffers share_buffers(const UnitPlan& plan, Whose whose) {
  const std::vector<Unit>& units = plan.units;
  std::vector<std::size_t> order(units.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return units[a].count > units[b].count; });

  SharedBuffers buffers{.of_unit = std::vector<std::size_t>(units.size()), .counts = {}};
  std::vector<std::vector<std::size_t>> layers_in;  // of the units in each buffer
  for (const std::size_t u : order) {
    const std::vector<std::size_t> layers = layers_of(units[u], whose);
    std::size_t b = 0;
    while (b < layers_in.size() && meet(layers_in[b], layers))
      ++b;
    if (b == layers_in.size()) {
      layers_in.emplace_back();
      buffers.counts.push_back(units[u].count);
    }
    layers_in[b].insert(layers_in[b].end(), layers.begin(), layers.end());
    buffers.of_unit[u] = b;
  }
  return buffers;
}

std::vector<Block> kept_blocks(const std::vector<Unit>& units, int rank) {
  std::vector<Block> kept;
  std::size_t begin = 0;
  for (const Unit& unit : units) {
    kept.push_back({begin, unit.blocks[rank].count});
    begin += kept.back().count;
  }
  return kept;
}

Tensor allocate_flat(const Communicator& data, Device& device, std::int64_t count, MemoryUse use,
                     DType dtype) {
  const MemoryScope scope(device, use);
  const auto bytes = static_cast<std::size_t>(count) * size_of(dtype);
  Tensor flat = Tensor::over(device, data.allocate(bytes), {count}, dtype);
  kernels::fill(flat, 0.0f, device.compute());
  return flat;
}

Tensor block_of(const Tensor& flat, const Unit& unit, int rank) {
  const Block block = unit.blocks[rank];
  return flat.slice(static_cast<std::int64_t>(block.begin),
                    static_cast<std::int64_t>(block.begin + block.count));
}

Tensor view_in(const Tensor& flat, const Unit& unit, std::size_t i) {
  const Shape& shape = unit.parameters[i]->value.shape();
  return flat.slice(unit.offsets[i], unit.offsets[i] + shape.count()).view(shape);
}

Tensor nowhere(const Tensor& like) {
  return Tensor::over(like.device(), nullptr, like.shape(), like.dtype());
}

void append_pieces(std::vector<Piece>& pieces, const Unit& unit, int rank, const Tensor& value,
                   const Tensor& grad) {
  const auto from = static_cast<std::int64_t>(unit.blocks[rank].begin);
  const auto to = from + static_cast<std::int64_t>(unit.blocks[rank].count);
  for (std::size_t i = 0; i < unit.parameters.size(); ++i) {
    const std::int64_t offset = unit.offsets[i];
    const std::int64_t begin = std::max(offset, from);
    const std::int64_t end = std::min(offset + unit.parameters[i]->value.count(), to);
    if (begin >= end) continue;
    pieces.push_back({value.slice(begin - from, end - from), grad.slice(begin - from, end - from),
                      unit.parameters[i], begin - offset});
  }
}

}  // namespace lockstep
