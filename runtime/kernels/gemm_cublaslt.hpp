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
  const void* bias = nullptr;  // [n] of the product's type, added to each row
};

// C[m,n] = op(A)[m,k] op(B)[k,n] + bias   (+ C).   2mnk FLOPs.
// The first product of a shape asks for its plan (tens of microseconds), which is kept.
void gemm(const Product& c, const Factor& a, const Factor& b, std::int64_t m, std::int64_t n,
          std::int64_t k, Device& device, Stream& stream);

}  // namespace lockstep::kernels::cuda
