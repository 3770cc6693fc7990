// SPDX-License-Identifier: Apache-2.0
// Without the host: the threshold stays in the GPU's memory. Four passes find it, a digit of eight
// bits each; then chunks count what they take, the counts are added up in order, and each chunk
// writes at its place. Counts are integers: the same result in any order.
#include "runtime/kernels/cuda_code.cuh"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/top_k.hpp"

namespace lockstep::kernels::cuda {

namespace {

constexpr int kDigits = 256;
constexpr int kDigitBits = 8, kFirstShift = 24;
constexpr int kTiles = 16;  // of a chunk, an element a thread
constexpr std::int64_t kChunk = std::int64_t{kTiles} * kThreads;
constexpr int kWarps = kThreads / kWarp;
static_assert(kDigits == kThreads);

// Larger than `least`, and the first `ties` of those as large, are taken.
struct Threshold {
  std::uint32_t least;
  std::int32_t ties;
};
struct Counts {
  std::int32_t larger, equal;
};

// The workspace: what lies where.
struct Workspace {
  Threshold* threshold;
  std::int32_t* of_digit;
  Counts* before;  // of each chunk: its counts, then those of the chunks before it
  std::int64_t chunks;

  Workspace(Tensor& memory, std::int64_t n)
      : threshold(reinterpret_cast<Threshold*>(memory.raw())),
        of_digit(memory.data<std::int32_t>() + 2),
        before(reinterpret_cast<Counts*>(of_digit + kDigits)),
        chunks((n + kChunk - 1) / kChunk) {}
};

__device__ std::uint32_t magnitude(float x) {
  return float_to_bits(x) & 0x7fffffffu;
}

__global__ void start_kernel(Workspace w, std::int32_t k) {
  w.of_digit[threadIdx.x] = 0;
  if (threadIdx.x == 0) *w.threshold = {0, k};
}

// How often each digit comes behind the digits that are known.
struct DigitCounts {
  std::int32_t of[kDigits];
};
__global__ void count_digits_kernel(Workspace w, const float* x, int shift, std::int64_t n) {
  auto& counts = shared<DigitCounts>().of;
  counts[threadIdx.x] = 0;
  __syncthreads();
  const std::uint32_t known = shift == kFirstShift ? 0 : ~0u << (shift + kDigitBits);
  const std::uint32_t least = w.threshold->least;
  const std::int64_t begin = blockIdx.x * kChunk;
  for (std::int64_t i = begin + threadIdx.x; i < begin + kChunk && i < n; i += kThreads) {
    const std::uint32_t size = magnitude(x[i]);
    if ((size & known) == least) atomicAdd(&counts[size >> shift & (kDigits - 1)], 1);
  }
  __syncthreads();
  if (counts[threadIdx.x] > 0) atomicAdd(&w.of_digit[threadIdx.x], counts[threadIdx.x]);
}

// One block, a thread for each digit: that of the k-th largest has fewer than k above it.
__global__ void choose_digit_kernel(Workspace w, int shift) {
  auto& counts = shared<DigitCounts>().of;
  const int digit = static_cast<int>(threadIdx.x);
  counts[digit] = w.of_digit[digit];
  const std::int32_t wanted = w.threshold->ties;
  __syncthreads();
  std::int32_t above = 0;
  for (int d = digit + 1; d < kDigits; ++d)
    above += counts[d];
  if (above < wanted && wanted - above <= counts[digit]) {
    w.threshold->least |= static_cast<std::uint32_t>(digit) << shift;
    w.threshold->ties = wanted - above;
  }
  w.of_digit[digit] = 0;
}

// Both counts of a block in one word: a chunk's fit into half of it.
struct PartialCounts {
  std::int64_t of_warp[kWarps];
};
__global__ void count_taken_kernel(Workspace w, const float* x, std::int64_t n) {
  constexpr std::int64_t kEqual = std::int64_t{1} << 32;
  const std::uint32_t least = w.threshold->least;
  const std::int64_t begin = blockIdx.x * kChunk;
  std::int64_t mine = 0;
  for (std::int64_t i = begin + threadIdx.x; i < begin + kChunk && i < n; i += kThreads) {
    const std::uint32_t size = magnitude(x[i]);
    mine += size > least ? 1 : size == least ? kEqual : 0;
  }
  const std::int64_t all = block_sum(mine, shared<PartialCounts>().of_warp);
  if (threadIdx.x == 0)
    w.before[blockIdx.x] = {static_cast<std::int32_t>(all & 0x7fffffff),
                            static_cast<std::int32_t>(all / kEqual)};
}

// One block: each thread adds up a stretch of chunks, behind those of the threads before it.
struct Stretches {
  Counts of[kThreads];
};
__global__ void add_up_kernel(Workspace w) {
  auto& stretch = shared<Stretches>().of;
  const std::int64_t size = (w.chunks + kThreads - 1) / kThreads, begin = threadIdx.x * size;
  const std::int64_t end = begin + size < w.chunks ? begin + size : w.chunks;
  Counts sum{0, 0};
  for (std::int64_t c = begin; c < end; ++c) {
    sum.larger += w.before[c].larger;
    sum.equal += w.before[c].equal;
  }
  stretch[threadIdx.x] = sum;
  __syncthreads();
  sum = {0, 0};
  for (unsigned t = 0; t < threadIdx.x; ++t) {
    sum.larger += stretch[t].larger;
    sum.equal += stretch[t].equal;
  }
  for (std::int64_t c = begin; c < end; ++c) {
    const Counts here = w.before[c];
    w.before[c] = sum;
    sum.larger += here.larger;
    sum.equal += here.equal;
  }
}

// Of the elements of a tile before this thread's.
struct TileCounts {
  Counts of_warp[kWarps];
};
__device__ Counts before_in_tile(bool larger, bool equal, Counts& of_tile) {
  auto& of_warp = shared<TileCounts>().of_warp;
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const unsigned larger_lanes = __ballot_sync(kAllLanes, larger);
  const unsigned equal_lanes = __ballot_sync(kAllLanes, equal);
  if (lane == 0) of_warp[warp] = {__popc(larger_lanes), __popc(equal_lanes)};
  __syncthreads();
  const unsigned lower = (1u << lane) - 1;
  Counts before{__popc(larger_lanes & lower), __popc(equal_lanes & lower)};
  of_tile = {0, 0};
  for (unsigned v = 0; v < kWarps; ++v) {
    if (v == warp) {
      before.larger += of_tile.larger;
      before.equal += of_tile.equal;
    }
    of_tile.larger += of_warp[v].larger;
    of_tile.equal += of_warp[v].equal;
  }
  __syncthreads();
  return before;
}

__global__ void take_kernel(Workspace w, std::int32_t* pairs, float* x, std::int64_t k,
                            std::int64_t n) {
  const auto [least, ties] = *w.threshold;
  Counts before = w.before[blockIdx.x];
  for (int tile = 0; tile < kTiles; ++tile) {
    const std::int64_t i = blockIdx.x * kChunk + tile * kThreads + threadIdx.x;
    const float value = i < n ? x[i] : 0.0f;
    const bool larger = i < n && magnitude(value) > least;
    const bool equal = i < n && magnitude(value) == least;
    Counts of_tile;
    const Counts in_tile = before_in_tile(larger, equal, of_tile);
    const std::int32_t equals = before.equal + in_tile.equal;
    if (larger || (equal && equals < ties)) {
      const std::int64_t at = before.larger + in_tile.larger + (equals < ties ? equals : ties);
      pairs[at] = static_cast<std::int32_t>(i);
      pairs[k + at] = static_cast<std::int32_t>(float_to_bits(value));
      x[i] = 0;
    }
    before.larger += of_tile.larger;
    before.equal += of_tile.equal;
  }
}

// Indices of one rank are distinct.
__global__ void add_pairs_kernel(float* sum, const std::int32_t* pairs, std::int64_t k) {
  const std::int64_t j = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (j < k) sum[pairs[j]] += bits_to_float(static_cast<std::uint32_t>(pairs[k + j]));
}

}  // namespace

std::int64_t take_largest_workspace(std::int64_t n) {
  return 2 + kDigits + 2 * ((n + kChunk - 1) / kChunk);
}

void take_largest(Tensor& pairs, Tensor& waiting, const Tensor& x, Tensor& workspace,
                  Stream& stream) {
  const std::int64_t n = x.count(), k = pairs.count() / 2;
  const Workspace w(workspace, n);
  const Launch one{1, kThreads}, chunks{dim3(static_cast<unsigned>(w.chunks)), kThreads};
  add(waiting, x, stream);
  launch(start_kernel, one, stream, w, static_cast<std::int32_t>(k));
  for (int shift = kFirstShift; shift >= 0; shift -= kDigitBits) {
    launch(count_digits_kernel, chunks, stream, w, waiting.data(), shift, n);
    launch(choose_digit_kernel, one, stream, w, shift);
  }
  launch(count_taken_kernel, chunks, stream, w, waiting.data(), n);
  launch(add_up_kernel, one, stream, w);
  launch(take_kernel, chunks, stream, w, pairs.data<std::int32_t>(), waiting.data(), k, n);
}

void add_pairs(Tensor& sum, const Tensor& pairs, int ranks, Stream& stream) {
  const std::int64_t k = pairs.count() / 2 / ranks;
  fill(sum, 0.0f, stream);
  for (int r = 0; r < ranks; ++r)
    launch(add_pairs_kernel, {blocks_of(k), kThreads}, stream, sum.data(),
           pairs.data<std::int32_t>() + 2 * k * r, k);
}

}  // namespace lockstep::kernels::cuda
