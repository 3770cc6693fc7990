// SPDX-License-Identifier: Apache-2.0
// Learning rate of a step: a linear warm-up to the peak, then one of four shapes. Pure, so a
// resumed run continues on the same curve.
//
//   constant  the peak
//   linear    peak -> minimum over the steps after the warm-up
//   cosine    the same way along half a cosine        (I. Loshchilov, F. Hutter, ICLR 2017)
//   wsd       the peak, then linear -> minimum over the last `decay_share` of all steps
//             (warm-up, stable, decay; S. Hu et al., "MiniCPM", 2024)
#pragma once

#include <cstdint>
#include <string_view>

namespace lockstep {

enum class DecayKind : std::uint8_t { constant, linear, cosine, wsd };

inline constexpr const char* kScheduleNames[] = {"constant", "linear", "cosine", "wsd"};

// The kind of one of kScheduleNames.
DecayKind decay_kind(std::string_view name);

struct ScheduleOptions {
  DecayKind kind = DecayKind::cosine;
  double peak = 1e-3;
  std::int64_t steps = 100;
  std::int64_t warmup_steps = 0;
  double minimum_share = 0.1;  // final rate / peak
  double decay_share = 0.2;    // wsd only
};

// Step s counts from 0. Warm-up gives (s + 1) / warmup_steps of the peak, so no step is wasted on a
// rate of zero; the minimum is reached at s = steps and kept after it.
double learning_rate_at(std::int64_t step, const ScheduleOptions& options);

}  // namespace lockstep
