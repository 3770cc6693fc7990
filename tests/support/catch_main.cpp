// SPDX-License-Identifier: Apache-2.0
// main() of the tests without MPI: one plain process.
#include "tests/support/catch_runner.hpp"

int main(int argc, char** argv) {
  return lockstep::test::run_catch(argc, argv);
}
