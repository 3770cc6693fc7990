// SPDX-License-Identifier: Apache-2.0
// Attention by tensor cores (Dao, "FlashAttention-2", 2023): four warps of 16 rows each, 64 columns
// at a time, tiles in shared memory that are fetched while the last are computed with.
//
//   forward   rows are queries, columns keys:   S = Q K^T, O += P V
//   dQ        the same:                         S again, dP = dO V^T, dQ += dS K
//   dK, dV    rows are keys, columns queries:   S^T = K Q^T, dP^T = V dO^T, dV += P^T dO, dK +=
//   dS^T Q
//
// Scores stay in registers: the accumulator of one product is the left operand of the next.
#include <algorithm>

#include "runtime/kernels/attention.cuh"

namespace lockstep::kernels::cuda {

namespace {

constexpr int kTile = 64;  // rows of a block, columns of a step
constexpr int kTileThreads = kTile / 16 * kWarp;

// 64 rows of kD channels, 16 bytes apart from a multiple of 128: eight rows at one channel lie in
// different banks.
template <int kD>
struct Tile {
  static constexpr int kStride = kD + 8;
  std::uint16_t at[kTile * kStride];
  __device__ const std::uint16_t* row(int r, int channel) const {
    return at + r * kStride + channel;
  }
};

using Scores = float[kTile / 8][4];  // of a warp: 16 rows, 64 columns; registers as mma has them
template <int kD>
using Channels = float[kD / 8][4];  // of a warp: 16 rows, kD channels

// Starts to fetch rows [first, first + 64) of a matrix of D channels; zeros beyond its end.
template <int kD>
__device__ void fetch(Tile<kD>& tile, const BFloat16* matrix, std::int64_t stride,
                      std::int64_t first, std::int64_t rows, int D) {
  constexpr int kPieces = kD / 8;
  for (int i = threadIdx.x; i < kTile * kPieces; i += kTileThreads) {
    const int r = i / kPieces, channel = i % kPieces * 8;
    const bool exists = first + r < rows && channel < D;
    const BFloat16* from = exists ? matrix + (first + r) * stride + channel : matrix;
    copy_async(tile.at + r * Tile<kD>::kStride + channel, from, exists);
  }
}

// s = a b^T: the warp's 16 rows of tile a by the 64 rows of tile b.
template <int kD>
__device__ void multiply_transposed(Scores& s, const Tile<kD>& a, const Tile<kD>& b) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int matrix = lane / 8, in_matrix = lane % 8;
  for (auto& of_tile : s) {
    for (float& x : of_tile)
      x = 0;
  }
#pragma unroll
  for (int k = 0; k < kD; k += 16) {
    std::uint32_t left[4], right[4];
    load_matrices(left, a.row(warp * 16 + matrix % 2 * 8 + in_matrix, k + matrix / 2 * 8));
#pragma unroll
    for (int n = 0; n < kTile; n += 16) {
      load_matrices(right, b.row(n + matrix / 2 * 8 + in_matrix, k + matrix % 2 * 8));
      multiply_add(s[n / 8], left, right[0], right[1]);
      multiply_add(s[n / 8 + 1], left, right[2], right[3]);
    }
  }
}

// o += p b: the warp's 16 rows of weights by the 64 rows of tile b.
template <int kD>
__device__ void add_product(Channels<kD>& o, const Scores& p, const Tile<kD>& b) {
  const int lane = threadIdx.x % kWarp, matrix = lane / 8, in_matrix = lane % 8;
#pragma unroll
  for (int k = 0; k < kTile; k += 16) {
    const float(&low)[4] = p[k / 8], (&high)[4] = p[k / 8 + 1];
    const std::uint32_t left[4] = {pack_bfloat16(low[0], low[1]), pack_bfloat16(low[2], low[3]),
                                   pack_bfloat16(high[0], high[1]),
                                   pack_bfloat16(high[2], high[3])};
#pragma unroll
    for (int n = 0; n < kD; n += 16) {
      std::uint32_t right[4];
      load_matrices_transposed(right, b.row(k + matrix % 2 * 8 + in_matrix, n + matrix / 2 * 8));
      multiply_add(o[n / 8], left, right[0], right[1]);
      multiply_add(o[n / 8 + 1], left, right[2], right[3]);
    }
  }
}

// body(x, i, row, column) for the elements of a warp's accumulator: i is 0 for the first of its two
// rows in this lane, 1 for the second.
template <int N, class Body>
__device__ void for_each_element(float (&s)[N][4], Body&& body) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int n = 0; n < N; ++n) {
#pragma unroll
    for (int r = 0; r < 4; ++r)
      body(s[n][r], r / 2, warp * 16 + lane / 4 + r / 2 * 8, n * 8 + lane % 4 * 2 + r % 2);
  }
}

// Rows [first, first + 64) of a matrix of D channels from the warps' accumulators.
template <int kD>
__device__ void write_rows(BFloat16* matrix, std::int64_t stride, std::int64_t first,
                           std::int64_t rows, int D, const Channels<kD>& o,
                           const float (&factor)[2]) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int n = 0; n < kD / 8; ++n) {
    for (int i = 0; i < 2; ++i) {
      const std::int64_t row = first + warp * 16 + lane / 4 + i * 8;
      const int channel = n * 8 + lane % 4 * 2;
      if (row >= rows || channel >= D) continue;
      *reinterpret_cast<std::uint32_t*>(matrix + row * stride + channel) =
          pack_bfloat16(o[n][2 * i] * factor[i], o[n][2 * i + 1] * factor[i]);
    }
  }
}

// Over the four lanes that hold a row.
__device__ float row_sum(float x) {
  x += __shfl_xor_sync(kAllLanes, x, 1);
  return x + __shfl_xor_sync(kAllLanes, x, 2);
}
__device__ float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 1));
  return fmaxf(x, __shfl_xor_sync(kAllLanes, x, 2));
}

template <int kD>
struct ForwardTiles {
  Tile<kD> q, k[2], v[2];
};

// Scores to weights exp(s - largest) in place; what was summed before is scaled to the new maximum.
// Largest is in units of log2.
template <int kD>
__device__ void softmax_step(Scores& s, Channels<kD>& o, float (&largest)[2], float (&total)[2]) {
  float most[2] = {largest[0], largest[1]}, sum[2] = {}, shrink[2];
  for_each_element(s, [&](float& x, int i, int, int) { most[i] = fmaxf(most[i], x); });
  for (int i = 0; i < 2; ++i) {
    most[i] = row_max(most[i]);
    shrink[i] = power_of_two(largest[i] - most[i]);
    largest[i] = most[i];
  }
  for_each_element(s, [&](float& x, int i, int, int) {
    x = power_of_two(x - largest[i]);
    sum[i] += x;
  });
  for (int i = 0; i < 2; ++i)
    total[i] = total[i] * shrink[i] + row_sum(sum[i]);
  for_each_element(o, [&](float& x, int i, int, int) { x *= shrink[i]; });
}

template <int kD>
__global__ void __launch_bounds__(kTileThreads) forward_kernel(AttentionTensors<BFloat16> t) {
  auto& tiles = *reinterpret_cast<ForwardTiles<kD>*>(dynamic_shared());
  const std::int64_t T = t.shape.tokens;
  const int D = static_cast<int>(t.shape.head_dim);
  const HeadPlace head(t.shape, blockIdx.z, blockIdx.y);
  const int steps = static_cast<int>(gridDim.x - blockIdx.x);  // the longest first
  const std::int64_t first_query = std::int64_t{steps - 1} * kTile;
  const auto fetch_keys = [&](int step) {
    fetch(tiles.k[step % 2], t.qkv + head.k, head.stride, std::int64_t{step} * kTile, T, D);
    fetch(tiles.v[step % 2], t.qkv + head.v, head.stride, std::int64_t{step} * kTile, T, D);
    commit_copies();
  };
  fetch(tiles.q, t.qkv + head.q, head.stride, first_query, T, D);
  fetch_keys(0);

  Channels<kD> o = {};
  Scores s;
  float largest[2] = {-INFINITY, -INFINITY}, total[2] = {};
  const float scale = t.scale * kLog2e;
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<0>();
    __syncthreads();
    if (step + 1 < steps) fetch_keys(step + 1);
    multiply_transposed(s, tiles.q, tiles.k[step % 2]);
    const std::int64_t first_key = std::int64_t{step} * kTile;
    for_each_element(s, [&](float& x, int, int, int) { x *= scale; });
    if (step + 1 == steps) {  // only the last block of keys has some that are not seen
      for_each_element(s, [&](float& x, int, int row, int column) {
        if (first_key + column > first_query + row) x = -INFINITY;
      });
    }
    softmax_step<kD>(s, o, largest, total);
    if (t.mask.share > 0) {
      for_each_element(s, [&](float& x, int, int row, int column) {
        x *= dropped(t.mask, head, first_query + row, first_key + column, T);
      });
    }
    add_product(o, s, tiles.v[step % 2]);
  }
  const float factor[2] = {1.0f / total[0], 1.0f / total[1]};
  write_rows<kD>(t.out + head.out, head.C, first_query, T, D, o, factor);
  for (int i = 0; i < 2; ++i) {
    const std::int64_t query =
        first_query + threadIdx.x / kWarp * 16 + threadIdx.x % kWarp / 4 + i * 8;
    if (threadIdx.x % 4 == 0 && query < T)
      t.log_sums[head.row_sums + query] = largest[i] * kLn2 + logf(total[i]);
  }
}

template <int kD>
struct QueryGradientTiles {
  Tile<kD> q, d_o, k[2], v[2];
};

template <int kD>
__global__ void __launch_bounds__(kTileThreads) dq_kernel(AttentionTensors<BFloat16> t) {
  auto& tiles = *reinterpret_cast<QueryGradientTiles<kD>*>(dynamic_shared());
  const std::int64_t T = t.shape.tokens;
  const int D = static_cast<int>(t.shape.head_dim);
  const HeadPlace head(t.shape, blockIdx.z, blockIdx.y);
  const int steps = static_cast<int>(gridDim.x - blockIdx.x);
  const std::int64_t first_query = std::int64_t{steps - 1} * kTile;
  const auto fetch_keys = [&](int step) {
    fetch(tiles.k[step % 2], t.qkv + head.k, head.stride, std::int64_t{step} * kTile, T, D);
    fetch(tiles.v[step % 2], t.qkv + head.v, head.stride, std::int64_t{step} * kTile, T, D);
    commit_copies();
  };
  fetch(tiles.q, t.qkv + head.q, head.stride, first_query, T, D);
  fetch(tiles.d_o, t.d_o + head.out, head.C, first_query, T, D);
  fetch_keys(0);

  float log_sum[2], delta[2];
  for (int i = 0; i < 2; ++i) {
    const std::int64_t query =
        first_query + threadIdx.x / kWarp * 16 + threadIdx.x % kWarp / 4 + i * 8;
    log_sum[i] = query < T ? t.log_sums[head.row_sums + query] * kLog2e : INFINITY;
    delta[i] = query < T ? t.delta[head.row_sums + query] : 0.0f;
  }
  Channels<kD> dq = {};
  Scores s, dp;
  const float scale = t.scale * kLog2e;
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<0>();
    __syncthreads();
    if (step + 1 < steps) fetch_keys(step + 1);
    multiply_transposed(s, tiles.q, tiles.k[step % 2]);
    multiply_transposed(dp, tiles.d_o, tiles.v[step % 2]);
    const std::int64_t first_key = std::int64_t{step} * kTile;
    if (t.mask.share > 0) {
      for_each_element(dp, [&](float& x, int, int row, int column) {
        x *= dropped(t.mask, head, first_query + row, first_key + column, T);
      });
    }
    for_each_element(dp, [&](float& x, int i, int, int) { x -= delta[i]; });
#pragma unroll
    for (int n = 0; n < kTile / 8; ++n) {
      for (int r = 0; r < 4; ++r)
        s[n][r] = power_of_two(s[n][r] * scale - log_sum[r / 2]) * dp[n][r];
    }
    if (step + 1 == steps) {
      for_each_element(s, [&](float& x, int, int row, int column) {
        if (first_key + column > first_query + row) x = 0;
      });
    }
    add_product(dq, s, tiles.k[step % 2]);
  }
  const float factor[2] = {t.scale, t.scale};
  write_rows<kD>(t.dqkv + head.q, head.stride, first_query, T, D, dq, factor);
}

template <int kD>
struct KeyGradientTiles {
  Tile<kD> k, v, q[2], d_o[2];
  float log_sums[2][kTile], delta[2][kTile];
};

// blockIdx.y is a key head; the steps go through its query heads and, of each, the blocks of
// queries that see the block of keys.
template <int kD>
__global__ void __launch_bounds__(kTileThreads) dkv_kernel(AttentionTensors<BFloat16> t) {
  auto& tiles = *reinterpret_cast<KeyGradientTiles<kD>*>(dynamic_shared());
  const std::int64_t T = t.shape.tokens, group = t.shape.heads / t.shape.kv_heads;
  const int D = static_cast<int>(t.shape.head_dim);
  const std::int64_t first_head = blockIdx.y * group;
  const HeadPlace own(t.shape, blockIdx.z, first_head);
  const std::int64_t first_key = std::int64_t{blockIdx.x} * kTile;  // the longest first
  const int steps_a_head = static_cast<int>(gridDim.x - blockIdx.x);
  const int steps = steps_a_head * static_cast<int>(group);
  const auto query_of = [&](int step) { return first_key + step % steps_a_head * kTile; };
  const auto fetch_queries = [&](int step) {
    const HeadPlace head(t.shape, blockIdx.z, first_head + step / steps_a_head);
    const std::int64_t first = query_of(step);
    fetch(tiles.q[step % 2], t.qkv + head.q, head.stride, first, T, D);
    fetch(tiles.d_o[step % 2], t.d_o + head.out, head.C, first, T, D);
    commit_copies();
    const int i = static_cast<int>(threadIdx.x);
    if (i >= kTile) return;
    const bool exists = first + i < T;
    tiles.log_sums[step % 2][i] =
        exists ? t.log_sums[head.row_sums + first + i] * kLog2e : INFINITY;
    tiles.delta[step % 2][i] = exists ? t.delta[head.row_sums + first + i] : 0.0f;
  };
  fetch(tiles.k, t.qkv + own.k, own.stride, first_key, T, D);
  fetch(tiles.v, t.qkv + own.v, own.stride, first_key, T, D);
  fetch_queries(0);

  Channels<kD> dk = {}, dv = {};
  Scores s, ds;
  const float scale = t.scale * kLog2e;
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<0>();
    __syncthreads();
    if (step + 1 < steps) fetch_queries(step + 1);
    const int at = step % 2;
    const std::int64_t first_query = query_of(step);
    multiply_transposed(s, tiles.k, tiles.q[at]);
    multiply_transposed(ds, tiles.v, tiles.d_o[at]);
    for_each_element(s, [&](float& x, int, int, int column) {
      x = power_of_two(x * scale - tiles.log_sums[at][column]);
    });
    if (first_query == first_key) {  // only there are queries that do not see all keys
      for_each_element(s, [&](float& x, int, int row, int column) {
        if (row > column) x = 0;
      });
    }
    // s is P^T; with dropout it becomes what forward multiplied V by, and dP^T gets the same
    // factor.
    const HeadPlace head(t.shape, blockIdx.z, first_head + step / steps_a_head);
    const auto factor_of = [&](int row, int column) {
      return dropped(t.mask, head, first_query + column, first_key + row, T);
    };
    if (t.mask.share > 0) {
      for_each_element(ds,
                       [&](float& x, int, int row, int column) { x *= factor_of(row, column); });
    }
    for_each_element(ds, [&](float& x, int, int, int column) { x -= tiles.delta[at][column]; });
#pragma unroll
    for (int n = 0; n < kTile / 8; ++n) {
      for (int r = 0; r < 4; ++r)
        ds[n][r] *= s[n][r];
    }
    if (t.mask.share > 0) {
      for_each_element(s, [&](float& x, int, int row, int column) { x *= factor_of(row, column); });
    }
    add_product(dv, s, tiles.d_o[at]);
    add_product(dk, ds, tiles.q[at]);
  }
  const float one[2] = {1.0f, 1.0f}, factor[2] = {t.scale, t.scale};
  write_rows<kD>(t.dqkv + own.k, own.stride, first_key, T, D, dk, factor);
  write_rows<kD>(t.dqkv + own.v, own.stride, first_key, T, D, dv, one);
}

template <class Tiles>
Launch tiles_for(const AttentionShape& s, std::int64_t heads) {
  return {dim3(static_cast<unsigned>((s.tokens + kTile - 1) / kTile), static_cast<unsigned>(heads),
               static_cast<unsigned>(s.batch)),
          kTileThreads, sizeof(Tiles)};
}

template <int kD>
void forward(const AttentionTensors<BFloat16>& t, Stream& stream) {
  launch_with_much_shared(forward_kernel<kD>, tiles_for<ForwardTiles<kD>>(t.shape, t.shape.heads),
                          stream, t);
}

template <int kD>
void backward(const AttentionTensors<BFloat16>& t, Stream& stream) {
  launch_with_much_shared(dq_kernel<kD>, tiles_for<QueryGradientTiles<kD>>(t.shape, t.shape.heads),
                          stream, t);
  launch_with_much_shared(dkv_kernel<kD>,
                          tiles_for<KeyGradientTiles<kD>>(t.shape, t.shape.kv_heads), stream, t);
}

// Of a block, at most: 227 KiB on an H100, 99 on most GPUs of workstations.
std::size_t most_shared_bytes() {
  int gpu = 0, bytes = 0;
  check(cudaGetDevice(&gpu));
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, gpu));
  return static_cast<std::size_t>(bytes);
}

}  // namespace

bool tiles_can(const AttentionShape& shape) {
  if (shape.head_dim % 8 != 0 || shape.head_dim > 128) return false;
  constexpr std::size_t kMost = std::max(
      {sizeof(ForwardTiles<128>), sizeof(QueryGradientTiles<128>), sizeof(KeyGradientTiles<128>)});
  return shape.head_dim <= 64 || kMost <= most_shared_bytes();
}

void attention_forward_by_tiles(const AttentionTensors<BFloat16>& t, Stream& stream) {
  t.shape.head_dim <= 64 ? forward<64>(t, stream) : forward<128>(t, stream);
}

void attention_backward_by_tiles(const AttentionTensors<BFloat16>& t, Stream& stream) {
  t.shape.head_dim <= 64 ? backward<64>(t, stream) : backward<128>(t, stream);
}

}  // namespace lockstep::kernels::cuda
