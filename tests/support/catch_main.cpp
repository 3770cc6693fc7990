// SPDX-License-Identifier: Apache-2.0
// main() of every test. Under MPI all ranks run the same cases; a test that uses MPI makes its own
// Context. Only the first rank prints passes: a failing rank prints what failed and exits non-zero.
#define CATCH_CONFIG_RUNNER
#include "tests/support/catch.hpp"

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
