// SPDX-License-Identifier: Apache-2.0
// As much of the CUDA runtime as our own code calls, on the host: one GPU, whose memory is malloc's
// (every block by itself, so that the address sanitizer sees its ends) and begins as poison.
// Linked before the real one, which a program then never takes anything from.
//
// As on a GPU, a stream carries out one thing after another. Whether launching returns at once, and
// what is launched makes progress only when somebody asks, is the testbed's to say.
#pragma once

#include <functional>
#include <mutex>

#include <cuda_runtime_api.h>

namespace lockstep::fake {

// True when it is done; asked again and again.
using Step = std::function<bool()>;

void enqueue(cudaStream_t stream, Step step);
std::unique_lock<std::recursive_mutex> locked();

// ---- what each testbed defines

extern const bool kLaunchesReturnAtOnce;
int number_of_gpu();  // this rank's, among all ranks'

}  // namespace lockstep::fake
