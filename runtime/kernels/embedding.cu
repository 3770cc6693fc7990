// SPDX-License-Identifier: Apache-2.0
// Lookups copy rows. Their gradient is added in a fixed order: the blocks of a token's first
// position walk through the later ones and add the rows of this token, until they have all of them.
// Where tokens occur first, and how often, is counted before (integers: the same in any order).
// That reads every row of dy once, and token ids as far as a token that occurs again lies behind.
#include <limits>

#include "runtime/kernels/any_floats.cuh"
#include "runtime/kernels/cuda_code.cuh"
#include "runtime/kernels/embedding.hpp"

namespace lockstep::kernels::cuda {

namespace {

// The rows of tokens [first, first + held).
struct Table {
  AnyFloats rows;
  std::int64_t first, held;

  __device__ std::int64_t row_of(int token) const {  // -1: not here
    const std::int64_t row = token - first;
    return row >= 0 && row < held ? row : -1;
  }
};

// y[r, w] = the row of the token w places into the window that ends at r, zero before the sequence,
// plus the row of the position where there are positions. blockIdx.y walks through (r, w).
template <class T>
__global__ void lookup_kernel(T* y, const int* tokens, Table table, AnyFloats places,
                              std::int64_t rows, std::int64_t tokens_a_row, std::int64_t window,
                              std::int64_t C) {
  const std::int64_t c = pack_begin<T>();
  if (c >= C) return;
  for (std::int64_t i = blockIdx.y; i < rows * window; i += gridDim.y) {
    const std::int64_t r = i / window, back = window - 1 - i % window;
    const std::int64_t place = r % tokens_a_row;
    const std::int64_t row = back <= place ? table.row_of(tokens[r - back]) : -1;
    float v[kPack<T>] = {}, p[kPack<T>] = {};
    if (row >= 0) table.rows.load(v, row * C + c, (row + 1) * C);
    if (places.at) places.load(p, place * C + c, (place + 1) * C);
    for (int j = 0; j < kPack<T>; ++j)
      v[j] += p[j];
    store_pack(y + i * C, v, c, C);
  }
}

constexpr int kTile = 1024;  // positions looked at between two additions

struct Matches {
  int num, before[kThreads / kWarp];
  int rows[kTile];
};

// Of each row of the table that is here: the first position of its token, and how many there are.
struct Occurrences {
  int *first, *count;
};

__global__ void clear_occurrences_kernel(Occurrences o, std::int64_t held, int none) {
  const std::int64_t row = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (row >= held) return;
  o.first[row] = none;
  o.count[row] = 0;
}

__global__ void count_occurrences_kernel(Occurrences o, Table table, const int* tokens,
                                         std::int64_t rows) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t row = at < rows ? table.row_of(tokens[at]) : -1;
  if (row < 0) return;
  atomicMin(o.first + row, static_cast<int>(at));
  atomicAdd(o.count + row, 1);
}

// The positions of a tile that have the token, in order.
__device__ void find_matches(Matches& matches, const int* tokens, std::int64_t begin,
                             std::int64_t end, int token) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  __syncthreads();
  if (threadIdx.x == 0) matches.num = 0;
  for (std::int64_t from = begin; from < end; from += kThreads) {
    const std::int64_t at = from + threadIdx.x;
    const bool match = at < end && tokens[at] == token;
    const unsigned votes = __ballot_sync(kAllLanes, match);
    if (lane == 0) matches.before[warp] = __popc(votes);
    __syncthreads();
    int place = matches.num + __popc(votes & ((1u << lane) - 1)), found = 0;
    for (int w = 0; w < kThreads / kWarp; ++w) {
      place += w < warp ? matches.before[w] : 0;
      found += matches.before[w];
    }
    if (match) matches.rows[place] = static_cast<int>(at);
    __syncthreads();
    if (threadIdx.x == 0) matches.num += found;
  }
  __syncthreads();
}

struct RowSums {
  Matches matches;
  float of_warp[kThreads / kWarp][kWarp * kPack<BFloat16>];
};

// dtable[row of the token] += the rows of dy at its positions. blockIdx.y is a strip of channels;
// warps take the rows by turns and their sums are added in order: a text has few tokens that occur
// thousands of times, and they decide how long this takes.
template <class T>
__global__ void add_rows_kernel(Table dtable, Occurrences o, const T* dy, const int* tokens,
                                std::int64_t rows, std::int64_t C) {
  constexpr int kWarps = kThreads / kWarp, kStrip = kWarp * kPack<T>;
  const std::int64_t position = blockIdx.x, strip = std::int64_t{blockIdx.y} * kStrip;
  const int token = tokens[position];
  const std::int64_t row = dtable.row_of(token);
  if (row < 0 || o.first[row] != position) return;  // the same for the whole block
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const std::int64_t c = strip + lane * kPack<T>;
  auto& memory = shared<RowSums>();
  Matches& matches = memory.matches;
  float sums[kPack<T>] = {}, v[kPack<T>];
  int left = o.count[row];
  for (std::int64_t begin = position; left > 0; begin += kTile) {
    const std::int64_t end = begin + kTile < rows ? begin + kTile : rows;
    find_matches(matches, tokens, begin, end, token);
    left -= matches.num;
    if (c >= C) continue;
#pragma unroll 4
    for (int m = warp; m < matches.num; m += kWarps) {
      load_pack(v, dy + matches.rows[m] * C, c, C);
      for (int j = 0; j < kPack<T>; ++j)
        sums[j] += v[j];
    }
  }
  for (int j = 0; j < kPack<T>; ++j)
    memory.of_warp[warp][lane * kPack<T> + j] = sums[j];
  __syncthreads();
  for (int i = threadIdx.x; i < kStrip && strip + i < C; i += kThreads) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w)
      sum += memory.of_warp[w][i];
    dtable.rows.add(row * C + strip + i, sum);
  }
}

// dplaces[t] += the rows of dy at place t of each sample, in order.
template <class T>
__global__ void add_places_kernel(AnyFloats dplaces, const T* dy, std::int64_t samples,
                                  std::int64_t tokens, std::int64_t C) {
  const std::int64_t c = pack_begin<T>();
  if (c >= C) return;
  for (std::int64_t t = blockIdx.y; t < tokens; t += gridDim.y) {
    float sum[kPack<T>] = {}, v[kPack<T>];
    for (std::int64_t s = 0; s < samples; ++s) {
      load_pack(v, dy + (s * tokens + t) * C, c, C);
      for (int j = 0; j < kPack<T>; ++j)
        sum[j] += v[j];
    }
    for (int j = 0; j < kPack<T> && c + j < C; ++j)
      dplaces.add(t * C + c + j, sum[j]);
  }
}

// dtable[token at r - back] += dy[r, w]: a thread owns a channel and walks through all rows
// in order, as the CPU does. For small models only (the feed-forward language model).
template <class T>
__global__ void add_windows_kernel(AnyFloats dtable, const T* dy, const int* tokens,
                                   std::int64_t rows, std::int64_t tokens_a_row,
                                   std::int64_t window, std::int64_t C) {
  const std::int64_t c = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (c >= C) return;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t w = 0; w < window; ++w) {
      const std::int64_t back = window - 1 - w;
      if (back > r % tokens_a_row) continue;
      dtable.add(tokens[r - back] * C + c, to_float(dy[(r * window + w) * C + c]));
    }
  }
}

Table table_of(const Tensor& rows, std::int64_t first) {
  return {AnyFloats(rows), first, rows.dim(0)};
}

void lookup(Tensor& y, const Tensor& tokens, const Table& table, const AnyFloats& places,
            std::int64_t window, std::int64_t C, Stream& stream) {
  const std::int64_t rows = tokens.count();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(lookup_kernel<T>, {rows_of_packs<T>(rows * window, C), kThreads}, stream, y.data<T>(),
           tokens.data<int>(), table, places, rows, tokens.dim(-1), window, C);
  });
}

}  // namespace

void embedding_forward(Tensor& y, const Tensor& tokens, const Tensor& token_table,
                       const Tensor& position_table, std::int64_t first, Stream& stream) {
  lookup(y, tokens, table_of(token_table, first),
         position_table ? AnyFloats(position_table) : AnyFloats(), 1, token_table.dim(1), stream);
}

void embedding_backward(Tensor& dtoken_table, Tensor& dposition_table, const Tensor& dy,
                        const Tensor& tokens, std::int64_t first, Stream& stream) {
  const std::int64_t C = dtoken_table.dim(1), T = tokens.dim(-1);
  const Table table = table_of(dtoken_table, first);
  const MemoryScope scope(dy.device(), MemoryUse::buffers);
  Tensor occurrences = Tensor::empty(dy.device(), {2, table.held}, DType::int32);
  const Occurrences o{occurrences.data<int>(), occurrences.data<int>() + table.held};
  launch(clear_occurrences_kernel, {blocks_of(table.held), kThreads}, stream, o, table.held,
         std::numeric_limits<int>::max());
  launch(count_occurrences_kernel, {blocks_of(tokens.count()), kThreads}, stream, o, table,
         tokens.data<int>(), tokens.count());
  with_float(dy.dtype(), [&](auto zero) {
    using Element = decltype(zero);
    constexpr std::int64_t kStrip = kWarp * kPack<Element>;
    const dim3 grid(static_cast<unsigned>(tokens.count()),
                    static_cast<unsigned>((C + kStrip - 1) / kStrip));
    launch(add_rows_kernel<Element>, {grid, kThreads}, stream, table, o, dy.data<Element>(),
           tokens.data<int>(), tokens.count(), C);
    if (!dposition_table) return;
    launch(add_places_kernel<Element>, {rows_of_packs<Element>(T, C), kThreads}, stream,
           AnyFloats(dposition_table), dy.data<Element>(), tokens.count() / T, T, C);
  });
}

void window_embedding_forward(Tensor& y, const Tensor& tokens, const Tensor& table,
                              std::int64_t window, Stream& stream) {
  lookup(y, tokens, table_of(table, 0), AnyFloats(), window, table.dim(1), stream);
}

void window_embedding_backward(Tensor& dtable, const Tensor& dy, const Tensor& tokens,
                               std::int64_t window, Stream& stream) {
  const std::int64_t C = dtable.dim(1);
  with_float(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(add_windows_kernel<T>, {blocks_of(C), kThreads}, stream, AnyFloats(dtable), dy.data<T>(),
           tokens.data<int>(), tokens.count(), tokens.dim(-1), window, C);
  });
}

}  // namespace lockstep::kernels::cuda
