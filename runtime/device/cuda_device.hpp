// SPDX-License-Identifier: Apache-2.0
// A GPU as a Device: one CUDA stream computes, one of each lane communicates, fed by a thread,
// memory comes from the GPU's stream-ordered pool, which keeps what it once took.
//
// CMake chooses cuda_device.cpp or cuda_absent.cpp.
#pragma once

#include <memory>
#include <string>

#include "runtime/device/device.hpp"

namespace lockstep {

// The gpu-th of those that this process may use. Throws ConfigError that says what is missing: the
// driver, a driver as new as the toolkit, a GPU of that number.
std::unique_ptr<Device> make_cuda_device(
    int gpu, CommunicationDriver driver = CommunicationDriver::worker_thread);

}  // namespace lockstep
