// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <dnnl.h>

#include "runtime/base/error.hpp"
#include "runtime/kernels/gemm.hpp"

namespace lockstep::kernels {

void host_gemm(OutMatrix c, ConstMatrix a, ConstMatrix b, std::int64_t m, std::int64_t n,
               std::int64_t k, float scale) {
  const char ta = a.trans == Trans::yes ? 'T' : 'N', tb = b.trans == Trans::yes ? 'T' : 'N';
  const float beta = c.into == Into::accumulate ? 1.0f : 0.0f;
  const dnnl_status_t status = dnnl_sgemm(ta, tb, m, n, k, scale, a.data, a.stride, b.data,
                                          b.stride, beta, c.data, c.stride);
  if (status != dnnl_success) {
    throw SystemError("oneDNN: sgemm of " + std::to_string(m) + " x " + std::to_string(n) + " x " +
                      std::to_string(k) + " failed with status " + std::to_string(status));
  }
}

const char* gemm_library() {
  static const std::string text = [] {
    const dnnl_version_t* v = dnnl_version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
           std::to_string(v->patch);
  }();
  return text.c_str();
}

}  // namespace lockstep::kernels
