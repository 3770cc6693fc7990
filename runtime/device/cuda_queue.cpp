// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/cuda_queue.hpp"

#include <limits>
#include <utility>

#include "runtime/base/clock.hpp"

namespace lockstep {

// Both clocks are looked at until little time lies between: this thread may lose its core there.
void CudaClock::set(cudaStream_t stream) {
  constexpr double kClose = 50e-6;
  constexpr int kLooks = 10;
  std::lock_guard lock(mutex_);
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kLooks && least > kClose; ++i) {
    CudaEventHandle event = make_cuda_event(EventTime::yes);
    check(cudaStreamSynchronize(stream));  // so that the event is over as soon as it is there
    const double begin = now();
    check(cudaEventRecord(event.get(), stream));
    check(cudaEventSynchronize(event.get()));
    const double end = now();
    if (end - begin >= least) continue;
    least = end - begin;
    origin_ = std::move(event);
    seconds_ = end;
  }
}

double CudaClock::time_of(cudaEvent_t event) const {
  std::lock_guard lock(mutex_);
  return seconds_ + seconds_between(origin_.get(), event);
}

double seconds_between(cudaEvent_t begin, cudaEvent_t end) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin, end));
  return 1e-3 * static_cast<double>(milliseconds);
}

CudaQueue::CudaQueue(int gpu, CudaPriority priority, std::shared_ptr<CudaClock> clock)
    : gpu_(gpu), clock_(std::move(clock)) {
  int least = 0, greatest = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking,
                                     priority == CudaPriority::high ? greatest : least));
  stream_ = CudaStreamHandle(stream);
}

CudaEventHandle CudaQueue::mark(EventTime time) {
  CudaEventHandle event = make_cuda_event(time);
  check(cudaEventRecord(event.get(), stream()));
  return event;
}

void CudaQueue::span(CudaEventHandle begin, CudaEventHandle end, const TimedWork& work) {
  std::lock_guard lock(mutex_);
  open_.push_back({std::move(begin), std::move(end), work});
}

void CudaQueue::account(const Span& span) {
  if (span.work.sum) *span.work.sum += seconds_between(span.begin.get(), span.end.get());
  if (!span.work.into) return;
  span.work.into->set_times(span.work.record, clock_->time_of(span.begin.get()),
                            clock_->time_of(span.end.get()));
}

void CudaQueue::settle() {
  std::lock_guard lock(mutex_);
  while (!open_.empty()) {
    const cudaError_t state = cudaEventQuery(open_.front().end.get());
    if (state == cudaErrorNotReady) return;
    check(state);
    account(open_.front());
    open_.pop_front();
  }
}

void CudaQueue::finish() {
  std::lock_guard lock(mutex_);
  for (; !open_.empty(); open_.pop_front()) {
    check(cudaEventSynchronize(open_.front().end.get()));
    account(open_.front());
  }
}

double CudaQueue::read(const double& sum) {
  settle();
  std::lock_guard lock(mutex_);
  return sum;
}

}  // namespace lockstep
