// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/compute_rate.hpp"

#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("rates are positive, and no product beats the registers by much") {
  const double gemm = measure_gemm_rate(0.0), peak = measure_fma_peak(0.0);
  CHECK(gemm > 1e6);
  CHECK(peak > 1e6);
  CHECK(gemm < 8 * peak);  // far above would mean that one of them did not run
}
