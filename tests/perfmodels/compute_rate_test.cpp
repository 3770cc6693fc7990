// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/compute_rate.hpp"

#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("rates are those of computation that took place") {
  // Between one FLOP per microsecond and 10 TFLOP/s a core: outside, one of them did not run.
  for (const double rate : {measure_gemm_rate(0.0), measure_fma_peak(0.0)}) {
    CHECK(rate > 1e6);
    CHECK(rate < 1e16);
  }
}
