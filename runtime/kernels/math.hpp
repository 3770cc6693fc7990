// SPDX-License-Identifier: Apache-2.0
// Elementwise formulas, written once for host and device, without branches so that loops over them
// vectorize.
#pragma once

#include <cstdint>
#include <cstring>

#include "runtime/base/host_device.hpp"

namespace lockstep::kernels {

// e^x for finite x, clamped to [-87, 88]; relative error below 2e-7. Cephes' expf: x = n ln 2 + r,
// a polynomial in r, then n added to the exponent.
LOCKSTEP_HD float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = x * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float y = 1.9875691500e-4f;
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  std::int32_t bits;
  std::memcpy(&bits, &shifted, 4);
  bits = static_cast<std::int32_t>((static_cast<std::uint32_t>(bits) + 127u) << 23);  // 2^n
  float scale;
  std::memcpy(&scale, &bits, 4);
  return y * scale;
}

LOCKSTEP_HD float hyperbolic_tangent(float x) {
  return 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f);
}

// GELU, tanh form.  u = k(x + c x^3),  y = x/2 (1 + tanh u)
constexpr float kGeluK = 0.7978845608f;  // sqrt(2 / pi)
constexpr float kGeluC = 0.044715f;
LOCKSTEP_HD float gelu(float x) {
  return 0.5f * x * (1.0f + hyperbolic_tangent(kGeluK * (x + kGeluC * x * x * x)));
}
// dy/dx = (1 + t)/2 + x/2 (1 - t^2) u',   t = tanh u,   u' = k(1 + 3c x^2)
LOCKSTEP_HD float gelu_gradient(float x) {
  const float t = hyperbolic_tangent(kGeluK * (x + kGeluC * x * x * x));
  return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * kGeluK * (1.0f + 3.0f * kGeluC * x * x);
}

// SiLU.  y = x s,   s = 1 / (1 + e^-x)
LOCKSTEP_HD float silu(float x) {
  return x / (1.0f + exponential(-x));
}
// dy/dx = s (1 + x (1 - s))
LOCKSTEP_HD float silu_gradient(float x) {
  const float s = 1.0f / (1.0f + exponential(-x));
  return s * (1.0f + x * (1.0f - s));
}

}  // namespace lockstep::kernels
