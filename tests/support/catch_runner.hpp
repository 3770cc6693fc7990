// SPDX-License-Identifier: Apache-2.0
// Catch2's own session, compiled once for both mains.
#pragma once

namespace lockstep::test {

int run_catch(int argc, char** argv);  // the exit status

}  // namespace lockstep::test
