// SPDX-License-Identifier: Apache-2.0
// The widest vectors that the compiler was allowed to use in this build.
#pragma once

namespace lockstep {

#if defined(__AVX512F__)
inline constexpr const char* kSimd = "AVX-512";
#elif defined(__AVX2__)
inline constexpr const char* kSimd = "AVX2";
#elif defined(__AVX__)
inline constexpr const char* kSimd = "AVX";
#elif defined(__SSE2__)
inline constexpr const char* kSimd = "SSE2";
#elif defined(__ARM_FEATURE_SVE)
inline constexpr const char* kSimd = "SVE";
#elif defined(__ARM_NEON)
inline constexpr const char* kSimd = "NEON";
#else
inline constexpr const char* kSimd = "none";
#endif

}  // namespace lockstep
