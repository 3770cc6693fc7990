// SPDX-License-Identifier: Apache-2.0
// Stands in for the file of this name in runtime/kernels where a .cu is compiled as C++ for the
// emulation: the same functions, and what nvcc knows by itself (threadIdx, barriers, shuffles).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include "runtime/base/error.hpp"
#include "runtime/base/half.hpp"
#include "runtime/device/cuda_launch.hpp"
#include "tests/testbed/cuda/emulator.hpp"

#undef __global__
#undef __device__
#undef __host__
#undef __launch_bounds__
#undef __forceinline__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __forceinline__ inline
#define __grid_constant__

#define threadIdx ::lockstep::emulated::thread_index
#define blockIdx ::lockstep::emulated::block_index
#define blockDim ::lockstep::emulated::block_size
#define gridDim ::lockstep::emulated::grid_size

inline void __syncthreads(int line = __builtin_LINE()) {
  lockstep::emulated::barrier(line);
}

inline void __syncwarp(unsigned mask = ~0u, int line = __builtin_LINE()) {
  lockstep::emulated::together(mask, nullptr, [](void* const*, unsigned) {}, line);
}

namespace lockstep::emulated {

template <class T>
struct Shuffle {
  T value, result;
  unsigned source;

  static void combine(void* const payload[32], unsigned mask) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (!(mask >> lane & 1)) continue;
      auto* to = static_cast<Shuffle*>(payload[lane]);
      const auto* from = static_cast<const Shuffle*>(payload[to->source % 32]);
      if (!from) throw SystemError("emulated GPU: a shuffle from a lane outside of the mask");
      to->result = from->value;
    }
  }
};

inline unsigned linear_thread() {
  return (thread_index.z * block_size.y + thread_index.y) * block_size.x + thread_index.x;
}

template <class T>
T shuffle(unsigned mask, T value, unsigned source, int line) {
  Shuffle<T> mine{value, value, source};
  together(mask, &mine, Shuffle<T>::combine, line);
  return mine.result;
}

}  // namespace lockstep::emulated

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int line = __builtin_LINE()) {
  return lockstep::emulated::shuffle(mask, value, static_cast<unsigned>(source), line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int with, int line = __builtin_LINE()) {
  const unsigned lane = lockstep::emulated::linear_thread() % 32;
  return lockstep::emulated::shuffle(mask, value, lane ^ static_cast<unsigned>(with), line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int line = __builtin_LINE()) {
  const unsigned lane = lockstep::emulated::linear_thread() % 32;
  return lockstep::emulated::shuffle(mask, value, lane + by < 32 ? lane + by : lane, line);
}

namespace lockstep::emulated {

struct Vote {
  bool mine;
  unsigned all;

  static void combine(void* const payload[32], unsigned) {
    unsigned all = 0;
    for (unsigned lane = 0; lane < 32; ++lane)
      all |= (payload[lane] && static_cast<const Vote*>(payload[lane])->mine ? 1u : 0u) << lane;
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (payload[lane]) static_cast<Vote*>(payload[lane])->all = all;
    }
  }
};

}  // namespace lockstep::emulated

inline unsigned __ballot_sync(unsigned mask, bool mine, int line = __builtin_LINE()) {
  lockstep::emulated::Vote vote{mine, 0};
  lockstep::emulated::together(mask, &vote, lockstep::emulated::Vote::combine, line);
  return vote.all;
}
inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}

template <class T>
T atomicAdd(T* to, T value) {
  const T before = *to;
  *to += value;
  return before;
}

template <class T>
T atomicMin(T* to, T value) {
  const T before = *to;
  if (value < before) *to = value;
  return before;
}

// Never part of a fused multiply-add, which the compiler would make of it here, too.
[[gnu::noinline]] inline float __fmul_rn(float x, float y) {
  return x * y;
}

inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}

namespace lockstep::kernels::cuda {

template <class... Parameters>
void launch_with_much_shared(void (*kernel)(Parameters...), const Launch& size, Stream& stream,
                             std::type_identity_t<Parameters>... arguments) {
  launch(kernel, size, stream, arguments...);
}

template <class Shared>
Shared& shared() {
  static Shared object;
  static const bool known = emulated::remember_shared(&object, sizeof object);
  (void)known;
  return object;
}

inline unsigned char* dynamic_shared() {
  return emulated::dynamic_shared();
}

inline float bits_to_float(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
inline std::uint32_t float_to_bits(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

inline float to_float(float x) {
  return x;
}
inline float to_float(BFloat16 x) {
  return static_cast<float>(x);
}

inline std::uint32_t pack_bfloat16(float low, float high) {
  return BFloat16(low).bits | std::uint32_t{BFloat16(high).bits} << 16;
}

template <class Vector>
void store_vector(Vector* to, Vector words) {
  *to = words;
}

inline float power_of_two(float x) {
  return std::exp2(x);
}

struct MultiplyAdd {
  float* c;
  const std::uint32_t* a;
  std::uint32_t b[2];

  static float low(std::uint32_t word) { return bits_to_float(word << 16); }
  static float high(std::uint32_t word) { return bits_to_float(word & 0xffff0000); }

  // Figures of "Matrix fragments for mma.m16n8k16" in the PTX manual.
  static void combine(void* const payload[32], unsigned) {
    float a_of[16][16], b_of[16][8];
    for (int lane = 0; lane < 32; ++lane) {
      const auto& mine = *static_cast<const MultiplyAdd*>(payload[lane]);
      const int group = lane / 4, pair = lane % 4 * 2;
      for (int r = 0; r < 4; ++r) {
        a_of[group + r % 2 * 8][pair + r / 2 * 8] = low(mine.a[r]);
        a_of[group + r % 2 * 8][pair + r / 2 * 8 + 1] = high(mine.a[r]);
      }
      for (int r = 0; r < 2; ++r) {
        b_of[pair + r * 8][group] = low(mine.b[r]);
        b_of[pair + r * 8 + 1][group] = high(mine.b[r]);
      }
    }
    for (int lane = 0; lane < 32; ++lane) {
      float* c = static_cast<const MultiplyAdd*>(payload[lane])->c;
      for (int r = 0; r < 4; ++r) {
        for (int k = 0; k < 16; ++k)
          c[r] += a_of[lane / 4 + r / 2 * 8][k] * b_of[k][lane % 4 * 2 + r % 2];
      }
    }
  }
};

inline void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                         std::uint32_t b1, int line = __builtin_LINE()) {
  MultiplyAdd mine{c, a, {b0, b1}};
  emulated::together(~0u, &mine, MultiplyAdd::combine, line);
}

template <bool kTransposed>
struct LoadMatrices {
  std::uint32_t* r;
  const std::uint16_t* row;

  static void combine(void* const payload[32], unsigned) {
    const auto element = [&](int matrix, int i, int j) {
      return std::uint32_t{static_cast<const LoadMatrices*>(payload[matrix * 8 + i])->row[j]};
    };
    for (int lane = 0; lane < 32; ++lane) {
      auto& mine = *static_cast<LoadMatrices*>(payload[lane]);
      if (reinterpret_cast<std::uintptr_t>(mine.row) % 16)
        throw SystemError("emulated GPU: ldmatrix from a row that is not aligned to 16 bytes");
      const int i = lane / 4, j = lane % 4 * 2;
      for (int m = 0; m < 4; ++m)
        mine.r[m] = kTransposed ? element(m, j, i) | element(m, j + 1, i) << 16
                                : element(m, i, j) | element(m, i, j + 1) << 16;
    }
  }
};

inline void load_matrices(std::uint32_t (&r)[4], const void* row, int line = __builtin_LINE()) {
  LoadMatrices<false> mine{r, static_cast<const std::uint16_t*>(row)};
  emulated::together(~0u, &mine, LoadMatrices<false>::combine, line);
}
inline void load_matrices_transposed(std::uint32_t (&r)[4], const void* row,
                                     int line = __builtin_LINE()) {
  LoadMatrices<true> mine{r, static_cast<const std::uint16_t*>(row)};
  emulated::together(~0u, &mine, LoadMatrices<true>::combine, line);
}

inline void copy_async(void* to, const void* from, bool valid) {
  if (reinterpret_cast<std::uintptr_t>(to) % 16 || reinterpret_cast<std::uintptr_t>(from) % 16)
    throw SystemError("emulated GPU: cp.async of something not aligned to 16 bytes");
  emulated::copy_later(to, from, valid);
}
inline void commit_copies() {
  emulated::commit_copies();
}
template <int kGroups>
void wait_for_copies() {
  emulated::wait_for_copies(kGroups);
}

}  // namespace lockstep::kernels::cuda
