// SPDX-License-Identifier: Apache-2.0
// A CUDA stream and the times of what was put into it. Times are read when the GPU is past them: by
// settle(), which asks, or finish(), which waits.
#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "runtime/device/cuda_handles.hpp"
#include "runtime/device/recording.hpp"

namespace lockstep {

// What ties CUDA events to the host's clock: an event and when it was. Events have single
// precision, so it is set anew when a recording begins.
class CudaClock {
 public:
  void set(cudaStream_t stream);
  double time_of(cudaEvent_t event) const;  // of an event that is over

 private:
  mutable std::mutex mutex_;
  CudaEventHandle origin_;
  double seconds_ = 0;
};

double seconds_between(cudaEvent_t begin, cudaEvent_t end);

// What has to be told of a span when its times are known.
struct TimedWork {
  double* sum = nullptr;  // its seconds are added here
  Recording* into = nullptr;
  int record = -1;
};

enum class CudaPriority : std::uint8_t { usual, high };

class CudaQueue {
 public:
  explicit CudaQueue(int gpu, CudaPriority priority, std::shared_ptr<CudaClock> clock);

  cudaStream_t stream() const { return stream_.get(); }
  int gpu() const { return gpu_; }
  CudaClock& clock() { return *clock_; }

  CudaEventHandle mark(EventTime time = EventTime::yes);  // behind what is there now
  void span(CudaEventHandle begin, CudaEventHandle end, const TimedWork& work);
  void settle();
  void finish();
  double read(const double& sum);  // a sum of spans, after settle()

 private:
  struct Span {
    CudaEventHandle begin, end;
    TimedWork work;
  };
  void account(const Span& span);

  int gpu_;
  std::shared_ptr<CudaClock> clock_;
  CudaStreamHandle stream_;
  std::mutex mutex_;
  std::deque<Span> open_;
};

}  // namespace lockstep
