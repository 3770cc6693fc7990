// SPDX-License-Identifier: Apache-2.0
// The 16-bit floating point types: storage only. Arithmetic is done in float; conversion back
// rounds to nearest, ties to even.
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/base/dtype.hpp"
#include "runtime/base/host_device.hpp"

namespace lockstep {

struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  LOCKSTEP_HD explicit BFloat16(float x) {
    const auto word = std::bit_cast<std::uint32_t>(x);
    const bool nan = (word & 0x7fffffff) > 0x7f800000;
    const std::uint32_t rounded = word + 0x7fff + (word >> 16 & 1);
    bits = static_cast<std::uint16_t>((nan ? word | 0x400000 : rounded) >> 16);
  }
  LOCKSTEP_HD explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  bool operator==(const BFloat16& other) const { return float(*this) == float(other); }
};

struct Float16 {
  std::uint16_t bits = 0;

  Float16() = default;
  // The exponent is rebased by a multiplication that also rounds into subnormals.
  explicit Float16(float x) {
    const auto word = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t sign = word >> 16 & 0x8000, magnitude = word & 0x7fffffff;
    std::uint32_t half;
    if (magnitude > 0x7f800000) {
      half = 0x7e00;  // not a number
    } else if (magnitude >= 0x477ff000) {
      half = 0x7c00;  // rounds beyond the largest, 65504
    } else if (magnitude < 0x38800000) {
      // Below 2^-14: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits.
      const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
      half = std::bit_cast<std::uint32_t>(shifted) - 0x3f000000;
    } else {
      half = (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13;
    }
    bits = static_cast<std::uint16_t>(sign | half);
  }
  explicit operator float() const {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
    const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fff) << 13;
    // 2^112 rebases the exponent, of subnormals too; what was infinite stays so.
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
    const std::uint32_t word = std::bit_cast<std::uint32_t>(scaled);
    const std::uint32_t infinite = magnitude >= 0x0f800000 ? 0x7f800000 : 0;
    return std::bit_cast<float>(word | infinite | sign);
  }
  bool operator==(const Float16& other) const { return float(*this) == float(other); }
};

template <>
constexpr DType dtype_of<BFloat16>() {
  return DType::bfloat16;
}
template <>
constexpr DType dtype_of<Float16>() {
  return DType::float16;
}

}  // namespace lockstep
