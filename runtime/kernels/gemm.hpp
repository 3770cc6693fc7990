// SPDX-License-Identifier: Apache-2.0
// Matrix products of float32 on the host, row-major, by a library (oneDNN, or any CBLAS).
#pragma once

#include <cstdint>

namespace lockstep::kernels {

enum class Trans : std::uint8_t { no, yes };
enum class Into : std::uint8_t { overwrite, accumulate };

struct ConstMatrix {
  const float* data;
  std::int64_t stride;  // elements from one row to the next, as stored
  Trans trans = Trans::no;
};

struct OutMatrix {
  float* data;
  std::int64_t stride;
  Into into = Into::overwrite;
};

// C[m,n] = scale * op(A)[m,k] op(B)[k,n]   (+ C).   2mnk FLOPs.
// Uses the threads of OpenMP; one inside a parallel region.
void host_gemm(OutMatrix c, ConstMatrix a, ConstMatrix b, std::int64_t m, std::int64_t n,
               std::int64_t k, float scale = 1.0f);

// The library behind host_gemm, with its version and what should be known about it.
const char* gemm_library();

}  // namespace lockstep::kernels
