// SPDX-License-Identifier: Apache-2.0
// What the kernels share: 16-byte packs of elements with ends of any size, sums over warps and
// blocks in a fixed order, grids. Arithmetic is float32 whatever the elements are.
#pragma once

#include <cstdint>

#include "runtime/kernels/cuda_primitives.cuh"

namespace lockstep::kernels::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffff;
constexpr int kThreads = 256;  // of a block, where nothing else decides

template <class T>
constexpr int kPack = 16 / static_cast<int>(sizeof(T));  // elements of 16 bytes

struct Words {
  std::uint32_t word[4];
};

struct HalfWords {
  std::uint32_t word[2];
};

// One access each: of a struct of our own nvcc makes one for every word, and of a plain store, too,
// where another branch stores the same words one by one.
__device__ inline Words load_words(const void* p) {
  const uint4 w = *static_cast<const uint4*>(p);
  return {{w.x, w.y, w.z, w.w}};
}
__device__ inline HalfWords load_half_words(const void* p) {
  const uint2 w = *static_cast<const uint2*>(p);
  return {{w.x, w.y}};
}
__device__ inline void store_words(void* p, const Words& w) {
  store_vector(static_cast<uint4*>(p), {w.word[0], w.word[1], w.word[2], w.word[3]});
}
__device__ inline void store_half_words(void* p, const HalfWords& w) {
  store_vector(static_cast<uint2*>(p), {w.word[0], w.word[1]});
}

__device__ inline void unpack(float (&v)[4], const Words& w) {
  for (int j = 0; j < 4; ++j)
    v[j] = bits_to_float(w.word[j]);
}
__device__ inline void unpack(float (&v)[8], const Words& w) {
  for (int j = 0; j < 4; ++j) {
    v[2 * j] = bits_to_float(w.word[j] << 16);
    v[2 * j + 1] = bits_to_float(w.word[j] & 0xffff0000);
  }
}
__device__ inline Words pack(const float (&v)[4]) {
  return {{float_to_bits(v[0]), float_to_bits(v[1]), float_to_bits(v[2]), float_to_bits(v[3])}};
}
__device__ inline Words pack(const float (&v)[8]) {
  return {{pack_bfloat16(v[0], v[1]), pack_bfloat16(v[2], v[3]), pack_bfloat16(v[4], v[5]),
           pack_bfloat16(v[6], v[7])}};
}

__device__ inline void store(float* to, float x) {
  *to = x;
}
__device__ inline void store(BFloat16* to, float x) {
  to->bits = static_cast<std::uint16_t>(pack_bfloat16(x, x));
}

__device__ inline bool aligned(const void* p) {
  return (reinterpret_cast<std::uintptr_t>(p) & 15) == 0;
}

// v = p[i .. i + a pack), zero from n on: one access where the pack is whole and aligned.
template <class T>
__device__ void load_pack(float (&v)[kPack<T>], const T* p, std::int64_t i, std::int64_t n) {
  if (i + kPack<T> <= n && aligned(p + i)) {
    unpack(v, load_words(p + i));
  } else {
    for (int j = 0; j < kPack<T>; ++j)
      v[j] = i + j < n ? to_float(p[i + j]) : 0.0f;
  }
}

// N elements from p + i on as floats, whatever their type; zero from n on. N is a pack of either type.
template <class T, int N>
__device__ void load_floats(float (&v)[N], const T* p, std::int64_t i, std::int64_t n) {
  if constexpr (N >= kPack<T>) {
    for (int part = 0; part < N; part += kPack<T>)
      load_pack(reinterpret_cast<float(&)[kPack<T>]>(v[part]), p, i + part, n);
  } else if (i + N <= n && reinterpret_cast<std::uintptr_t>(p + i) % 8 == 0) {  // 4 of bfloat16
    const HalfWords w = load_half_words(p + i);
    for (int j = 0; j < 2; ++j) {
      v[2 * j] = bits_to_float(w.word[j] << 16);
      v[2 * j + 1] = bits_to_float(w.word[j] & 0xffff0000);
    }
  } else {
    for (int j = 0; j < N; ++j)
      v[j] = i + j < n ? to_float(p[i + j]) : 0.0f;
  }
}

template <class T>
__device__ void store_pack(T* p, const float (&v)[kPack<T>], std::int64_t i, std::int64_t n) {
  if (i + kPack<T> <= n && aligned(p + i)) {
    store_words(p + i, pack(v));
  } else {
    for (int j = 0; j < kPack<T> && i + j < n; ++j)
      store(p + i + j, v[j]);
  }
}

template <class T, int N>
__device__ void store_floats(T* p, const float (&v)[N], std::int64_t i, std::int64_t n) {
  if constexpr (N >= kPack<T>) {
    for (int part = 0; part < N; part += kPack<T>)
      store_pack(p, reinterpret_cast<const float(&)[kPack<T>]>(v[part]), i + part, n);
  } else if (i + N <= n && reinterpret_cast<std::uintptr_t>(p + i) % 8 == 0) {
    store_half_words(p + i, {{pack_bfloat16(v[0], v[1]), pack_bfloat16(v[2], v[3])}});
  } else {
    for (int j = 0; j < N && i + j < n; ++j)
      store(p + i + j, v[j]);
  }
}

// The first element of this thread's pack, in a grid made by packs_of<T>.
template <class T>
__device__ std::int64_t pack_begin() {
  return (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kPack<T>;
}
template <class T>
dim3 packs_of(std::int64_t n) {
  const std::int64_t per_block = std::int64_t{kThreads} * kPack<T>;
  return dim3(static_cast<unsigned>((n + per_block - 1) / per_block));
}

inline dim3 blocks_of(std::int64_t threads) {
  return dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads));
}

// The same for the columns of a matrix, in blockIdx.x; blockIdx.y are rows, of which a kernel may have
// to take several.
template <class T>
dim3 rows_of_packs(std::int64_t rows, std::int64_t columns) {
  dim3 grid = packs_of<T>(columns);
  grid.y = static_cast<unsigned>(rows < 65535 ? rows : 65535);
  return grid;
}

// Sums in a fixed order: the same bits every time, in every lane.
template <class V>
__device__ V warp_sum(V x) {
  for (int with = kWarp / 2; with > 0; with /= 2)
    x += __shfl_xor_sync(kAllLanes, x, with);
  return x;
}
__device__ inline float warp_max(float x) {
  for (int with = kWarp / 2; with > 0; with /= 2)
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, with));
  return x;
}

// Over a block of whole warps; `partial` is shared memory of one element a warp, free again after
// the next barrier.
template <class V>
__device__ V block_sum(V x, V* partial) {
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  x = warp_sum(x);
  if (lane == 0) partial[warp] = x;
  __syncthreads();
  return warp_sum(lane < warps ? partial[lane] : V{});
}
__device__ inline float block_max(float x, float* partial) {
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  x = warp_max(x);
  if (lane == 0) partial[warp] = x;
  __syncthreads();
  return warp_max(lane < warps ? partial[lane] : -INFINITY);
}

}  // namespace lockstep::kernels::cuda
