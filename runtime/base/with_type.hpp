// SPDX-License-Identifier: Apache-2.0
// From a type known at run time to one known to the compiler.
#pragma once

#include "runtime/base/error.hpp"
#include "runtime/base/half.hpp"

namespace lockstep {

// Calls f with a zero of the C++ type that `dtype` names, and returns what it returns.
template <class F>
auto with_type(DType dtype, F f) {
  switch (dtype) {
    case DType::float32:
      return f(float{});
    case DType::float64:
      return f(double{});
    case DType::bfloat16:
      return f(BFloat16{});
    case DType::float16:
      return f(Float16{});
    case DType::int32:
      return f(std::int32_t{});
    case DType::int64:
      return f(std::int64_t{});
    case DType::uint8:
      return f(std::uint8_t{});
  }
  throw LogicError("no such type");
}

// The same for the types that tensors of a model have: float32, and bfloat16 on a GPU.
template <class F>
auto with_float(DType dtype, F f) {
  if (dtype == DType::bfloat16) return f(BFloat16{});
  expect(dtype == DType::float32, "a tensor of float32 or bfloat16");
  return f(float{});
}

}  // namespace lockstep
