// SPDX-License-Identifier: Apache-2.0
// The few things that kernels cannot say in C++ alone: shared memory, conversions, tensor cores. tests/testbed/cuda has another file of this name, by which every kernel also runs without
// a GPU; so a kernel uses these, threadIdx and its kin, __syncthreads and the warp shuffles.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime.h>

#include "runtime/base/half.hpp"
#include "runtime/device/cuda_launch.hpp"

namespace lockstep::kernels::cuda {

// Of a kernel that may need more than 48 KiB of dynamic shared memory: it has to ask for it.
template <class... Parameters>
void launch_with_much_shared(void (*kernel)(Parameters...), const Launch& size, Stream& stream,
                             std::type_identity_t<Parameters>... arguments) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(size.shared_bytes)));
  launch(kernel, size, stream, arguments...);
}

// One object of this type in the block's shared memory: a type of its own for each use.
template <class Shared>
__device__ Shared& shared() {
  __shared__ Shared object;
  return object;
}

__device__ inline unsigned char* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char lockstep_dynamic_shared[];
  return lockstep_dynamic_shared;
}

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(BFloat16 x) {
  return __uint_as_float(std::uint32_t{x.bits} << 16);
}

// Two floats to two bfloat16 in one word, the first in its low half; to nearest, ties to even.
__device__ inline std::uint32_t pack_bfloat16(float low, float high) {
  std::uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

__device__ inline float bits_to_float(std::uint32_t bits) {
  return __uint_as_float(bits);
}
__device__ inline std::uint32_t float_to_bits(float x) {
  return __float_as_uint(x);
}

// To global memory.
template <class Vector>
__device__ void store_vector(Vector* to, Vector words) {
  __stwb(to, words);
}

// 2^x by the special function unit: relative error 2^-22.
__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// c[16,8] += a[16,16] b[16,8] of a warp, bfloat16 into float32 (PTX: mma.m16n8k16, row.col).
__device__ inline void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                    std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8 x 8 matrices of 16-bit elements from shared memory: lane i names row i % 8 of matrix i / 8
// (PTX: ldmatrix.x4).
__device__ inline void load_matrices(std::uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
__device__ inline void load_matrices_transposed(std::uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

// 16 bytes from global to shared memory, without passing through registers; zeros unless `valid`.
__device__ inline void copy_async(void* to, const void* from, bool valid) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from),
               "r"(valid ? 16 : 0)
               : "memory");
}
__device__ inline void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Until at most so many of the committed groups are under way.
template <int kGroups>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
}

}  // namespace lockstep::kernels::cuda
