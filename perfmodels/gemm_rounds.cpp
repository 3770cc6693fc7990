// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/gemm_rounds.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lockstep {

namespace {

double tile_seconds(const ComputeProfile& p, const GemmTile& tile, double k, double element) {
  const double flops = 2 * tile.m * tile.n * k, operands = (tile.m + tile.n) * k * element;
  const double rate = p.peak_flops.value * p.gemm_efficiency.value / p.processors;
  const double brought = operands * p.processors / p.cache_bandwidth.value;
  const double written = tile.m * tile.n * element * p.processors / p.memory_bandwidth.value;
  return std::max(flops / rate, brought) + written + p.tile_latency.value;
}

}  // namespace

bool knows_tiles(const ComputeProfile& p) {
  return p.processors > 0 && !p.tiles.empty() && p.cache_bandwidth.known() &&
         p.memory_bandwidth.known() && p.peak_flops.known() && p.gemm_efficiency.known();
}

double gemm_seconds(const ComputeProfile& p, const Operation& o) {
  const auto m = static_cast<double>(o.shape[0]), n = static_cast<double>(o.shape[1]);
  const auto k = static_cast<double>(o.shape[2]);
  const double times = std::max(static_cast<double>(o.shape[3]), 1.0);
  const auto element = static_cast<double>(size_of(o.dtype));
  double least = std::numeric_limits<double>::infinity();
  for (const GemmTile& tile : p.tiles) {
    for (const GemmTile& t : {tile, GemmTile{tile.n, tile.m}}) {
      const double tiles = times * std::ceil(m / t.m) * std::ceil(n / t.n);
      const double rounds = std::ceil(tiles / p.processors);
      least = std::min(least, rounds * tile_seconds(p, t, k, element));
    }
  }
  const double moved = times * element * (m * k + k * n + m * n);
  return std::max(least, moved / p.memory_bandwidth.value);
}

}  // namespace lockstep
