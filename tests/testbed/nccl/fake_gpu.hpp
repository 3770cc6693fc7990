// SPDX-License-Identifier: Apache-2.0
// A GPU and its NCCL that are none, so that the backends of collectives/backends/gpu.hpp run where
// there is no GPU: one shared library with the calls of the CUDA runtime that they use (memory of
// the GPU is memory of the host, kernels cannot run) and with NCCL's over MPI.
//
// A group of NCCL is one thing in a stream, whose messages go on at the same time; a send is over
// when its receive is there (a GPU may buffer more, so what deadlocks there deadlocks here).
#pragma once

#include <vector>

#include <nccl.h>

#include "tests/testbed/cuda/fake_runtime.hpp"

namespace lockstep::fake {

// ---- what tests do to it, on this rank

void share_one_gpu(bool shared);            // all ranks from now on, for what asks next
void set_async_error(ncclResult_t error);   // of every communicator, until it is set to success
void fail_next_launch(ncclResult_t error);  // of the next group
void fail_next_call(ncclResult_t error);    // the next operation, within its group
std::vector<cudaStream_t> launches();       // streams of the groups since forget_launches()
void forget_launches();
int num_registered();     // buffers, now
int num_aborted();        // communicators, so far
int num_communicators();  // now

}  // namespace lockstep::fake
