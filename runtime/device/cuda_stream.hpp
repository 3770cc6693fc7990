// SPDX-License-Identifier: Apache-2.0
// The streams of a GPU.
//
// compute  bodies run in the caller and put kernels into a CUDA stream; they return at once.
// lanes    one for each axis, each with a CUDA stream. The bodies of all lanes run in one worker
//          thread, in program order, as on the cpu: a body may put work into the CUDA stream of its
//          lane (NCCL) and leave it under way (attend), or block the thread (MPI; first wait for
//          the CUDA stream). So all backends share one order of launches, and what one axis does
//          waits for no other.
//
// An event of such a stream is a CUDA event behind what the bodies have put there. A Stream that
// waits for it makes its CUDA stream wait, not its thread; only the thread's part of the work
// before the event must be over, and what was left under way in that lane: so who waits is told
// what went wrong. With a Recording, CUDA events stand around every body and its times are the
// GPU's; they cost about 2 us each, so without one only communication is timed, and how long the
// compute stream stood still for each lane. NVTX ranges of the same names stand around what is
// submitted.
#pragma once

#include <memory>
#include <vector>

#include "runtime/device/cuda_queue.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

struct CudaStreams {
  std::shared_ptr<CudaQueue> queue;  // of compute
  std::unique_ptr<Stream> compute;
  std::vector<std::unique_ptr<Stream>> lanes;
};
CudaStreams make_cuda_streams(int gpu, CommunicationDriver driver);

}  // namespace lockstep
