// SPDX-License-Identifier: Apache-2.0
#define CATCH_CONFIG_RUNNER
// The SIGTERM by which MPI_Abort ends the other ranks is not a failure of their tests.
#define CATCH_CONFIG_NO_POSIX_SIGNALS
#include "tests/support/catch_runner.hpp"

#include "tests/support/catch.hpp"

int lockstep::test::run_catch(int argc, char** argv) {
  return Catch::Session().run(argc, argv);
}
