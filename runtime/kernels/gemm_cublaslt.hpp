// SPDX-License-Identifier: Apache-2.0
// Matrix products on a GPU by cuBLASLt, row-major like gemm.hpp: bfloat16 or float32 in, either
// out, float32 sums. float32 products are exact unless the device computes in TF32 (10 bits of
// mantissa, on tensor cores).
#pragma once

#include <cstdint>

#include "runtime/kernels/gemm.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels::cuda {

struct Factor {
  const void* data;
  DType dtype;
  std::int64_t stride;  // elements from one row to the next, as stored
  Trans trans = Trans::no;
};

struct Product {
  void* data;
  DType dtype;
  std::int64_t stride;
  Into into = Into::overwrite;
  const void* bias = nullptr;      // [n] of the product's type, added to each row
  const void* residual = nullptr;  // of C's type and layout, added to C instead of C itself
  // What it is written as: C, gelu(C) with C itself beside it, C gelu'(that matrix). Of C's layout.
  enum class Gelu : std::uint8_t { none, of_product, gradient } gelu = Gelu::none;
  void* beside = nullptr;
};

// False where cuBLASLt has no algorithm that applies the GELU, or a slower one than a pass of its
// own would be: before Hopper (llm.c leaves it to a pass there, too).
bool gemm_can(const Product& c, const Factor& a, const Factor& b, std::int64_t m, std::int64_t n,
              std::int64_t k, Device& device);

// C[m,n] = op(A)[m,k] op(B)[k,n] + bias   (+ C, or the residual), as c.gelu says.   2mnk FLOPs.
// The first product of a shape asks for its plan (tens of microseconds), which is kept.
void gemm(const Product& c, const Factor& a, const Factor& b, std::int64_t m, std::int64_t n,
          std::int64_t k, Device& device, Stream& stream);

}  // namespace lockstep::kernels::cuda
