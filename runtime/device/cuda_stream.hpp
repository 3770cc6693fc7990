// SPDX-License-Identifier: Apache-2.0
// The two streams of a GPU.
//
// compute        bodies run in the caller and put kernels into a CUDA stream; they return at once.
// communication  bodies run in one worker thread, in program order, as on the cpu: a body may put
//                work into the CUDA stream of this Stream (NCCL) or block its thread (MPI; first
//                wait for the CUDA stream). So all backends share one ordered queue.
//
// An event of such a stream is a CUDA event behind what the bodies have put there. A Stream that
// waits for it makes its CUDA stream wait, not its thread; only the thread's part of the work
// before the event must be over. With a Recording, CUDA events stand around every body and its
// times are the GPU's; they cost about 2 us each, so without one only communication is timed, and
// how long the compute stream stood still for it. NVTX ranges of the same names stand around what
// is submitted.
#pragma once

#include <memory>

#include "runtime/device/cuda_queue.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

struct CudaStreams {
  std::shared_ptr<CudaQueue> queue;  // of compute
  std::unique_ptr<Stream> compute, communication;
};
CudaStreams make_cuda_streams(int gpu, CommunicationDriver driver);

}  // namespace lockstep
