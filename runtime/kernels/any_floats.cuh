// SPDX-License-Identifier: Apache-2.0
// Elements whose type, float32 or bfloat16, is known at run time only: weights and their gradients,
// which are small beside the activations, so that kernels are compiled once for each type of those.
#pragma once

#include "runtime/kernels/cuda_code.cuh"
#include "runtime/base/with_type.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels::cuda {

struct AnyFloats {
  void* at = nullptr;
  bool half = false;

  AnyFloats() = default;
  explicit AnyFloats(const Tensor& x) : at(x.raw()), half(x.dtype() == DType::bfloat16) {
    with_float(x.dtype(), [](auto) {});  // says what it cannot be
  }
  __device__ explicit AnyFloats(BFloat16* x) : at(x), half(true) {}

  __device__ float operator[](std::int64_t i) const {
    return half ? to_float(static_cast<const BFloat16*>(at)[i]) : static_cast<const float*>(at)[i];
  }
  // v = elements [i, i + N), zero from n on.
  template <int N>
  __device__ void load(float (&v)[N], std::int64_t i, std::int64_t n) const {
    if (half)
      load_floats(v, static_cast<const BFloat16*>(at), i, n);
    else
      load_floats(v, static_cast<const float*>(at), i, n);
  }
  template <int N>
  __device__ void set(const float (&v)[N], std::int64_t i, std::int64_t n) const {
    if (half)
      store_floats(static_cast<BFloat16*>(at), v, i, n);
    else
      store_floats(static_cast<float*>(at), v, i, n);
  }
  __device__ void add(std::int64_t i, float x) const {
    if (half)
      store(static_cast<BFloat16*>(at) + i, (*this)[i] + x);
    else
      static_cast<float*>(at)[i] += x;
  }
};

}  // namespace lockstep::kernels::cuda
