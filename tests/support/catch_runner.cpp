// SPDX-License-Identifier: Apache-2.0
#define CATCH_CONFIG_RUNNER
#include "tests/support/catch_runner.hpp"

#include "tests/support/catch.hpp"

int lockstep::test::run_catch(int argc, char** argv) {
  return Catch::Session().run(argc, argv);
}
