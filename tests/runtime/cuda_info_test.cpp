// SPDX-License-Identifier: Apache-2.0
// On every machine, with or without toolkit, driver and GPU: the answer is complete and consistent.
#include "runtime/device/cuda_info.hpp"

#include <algorithm>
#include <cctype>

#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("cuda_info says what there is, or why there is nothing", "[unit]") {
  const CudaInfo info = cuda_info();

  CHECK(info.built_in == bool(LOCKSTEP_EXPECT_CUDA));
  CHECK(info.built_in == !info.runtime_version.empty());
  CHECK((info.devices > 0) == info.note.empty());
  CHECK((info.built_in || info.devices == 0));
}

TEST_CASE("the runtime version is major.minor", "[unit]") {
  const std::string version = cuda_info().runtime_version;
  if (version.empty()) return;

  INFO(version);
  const auto dot = version.find('.');
  REQUIRE(dot != std::string::npos);
  CHECK(std::count_if(version.begin(), version.end(), ::isdigit) == int(version.size()) - 1);
  CHECK(std::stoi(version) >= 11);
}
