// SPDX-License-Identifier: Apache-2.0
// OpenBLAS before 0.3.26 may not know a new processor and then runs SSE3 kernels at a fifth of the
// speed: gemm_library() says what it chose.
#include <cblas.h>

#include "runtime/kernels/gemm.hpp"

extern "C" __attribute__((weak)) char* openblas_get_config();

namespace lockstep::kernels {

void host_gemm(OutMatrix c, ConstMatrix a, ConstMatrix b, std::int64_t m, std::int64_t n,
               std::int64_t k, float scale) {
  if (m == 0 || n == 0) return;
  const auto blas = [](Trans t) { return t == Trans::yes ? CblasTrans : CblasNoTrans; };
  const float beta = c.into == Into::accumulate ? 1.0f : 0.0f;
  cblas_sgemm(CblasRowMajor, blas(a.trans), blas(b.trans), static_cast<int>(m), static_cast<int>(n),
              static_cast<int>(k), scale, a.data, static_cast<int>(a.stride), b.data,
              static_cast<int>(b.stride), beta, c.data, static_cast<int>(c.stride));
}

const char* gemm_library() {
  return openblas_get_config ? openblas_get_config() : "CBLAS";
}

}  // namespace lockstep::kernels
