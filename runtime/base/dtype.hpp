// SPDX-License-Identifier: Apache-2.0
// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep {

enum class DType : std::uint8_t { float32, float64, bfloat16, float16, int32, int64, uint8 };

constexpr std::size_t size_of(DType t) {
  switch (t) {
    case DType::float64:
    case DType::int64:
      return 8;
    case DType::float32:
    case DType::int32:
      return 4;
    case DType::bfloat16:
    case DType::float16:
      return 2;
    case DType::uint8:
      return 1;
  }
  return 0;
}

constexpr const char* name_of(DType t) {
  constexpr const char* kNames[] = {"float32", "float64", "bfloat16", "float16",
                                    "int32",   "int64",   "uint8"};
  return kNames[static_cast<int>(t)];
}

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::float32;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::float64;
}
template <>
constexpr DType dtype_of<std::int32_t>() {
  return DType::int32;
}
template <>
constexpr DType dtype_of<std::int64_t>() {
  return DType::int64;
}
template <>
constexpr DType dtype_of<std::uint8_t>() {
  return DType::uint8;
}

}  // namespace lockstep
