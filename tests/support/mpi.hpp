// SPDX-License-Identifier: Apache-2.0
// For tests that run under mpirun: all ranks run the same cases in the same order, in one job.
#pragma once

#include "runtime/context/context.hpp"

namespace lockstep::test {

const Context& context();  // the one Context of this process, made by main

}  // namespace lockstep::test
