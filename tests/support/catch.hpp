// SPDX-License-Identifier: Apache-2.0
// The only includer of Catch2: versions 2 and 3 differ in the header.
#pragma once

#if LOCKSTEP_CATCH2 >= 3
#include <catch2/catch_all.hpp>
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
#else
#include <catch2/catch.hpp>
inline auto ContainsSubstring(const std::string& part) {
  return Catch::Matchers::Contains(part);
}
#endif

#if LOCKSTEP_CATCH2 >= 3
using TestListener = Catch::EventListenerBase;
#elif defined(CATCH_CONFIG_EXTERNAL_INTERFACES)
using TestListener = Catch::TestEventListenerBase;
#endif
