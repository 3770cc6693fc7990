// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/cuda_stream.hpp"

#include <deque>
#include <utility>
#include <vector>

#include <nvtx3/nvToolsExt.h>

namespace lockstep {
namespace {

class NvtxRange {
 public:
  explicit NvtxRange(const char* name) { nvtxRangePushA(name); }
  ~NvtxRange() { nvtxRangePop(); }
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;
};

class CudaEvent : public Event::State {
 public:
  explicit CudaEvent(CudaEventHandle event) : event_(std::move(event)) {}

  cudaEvent_t get() const { return event_.get(); }
  // When the worker has put it into its CUDA stream; that of the compute stream is there at once.
  void submitted_at(Event event) { submitted_ = std::move(event); }
  void wait_until_submitted() const { submitted_.wait(); }

  bool complete() override {
    if (!submitted_.done()) return false;
    const cudaError_t state = cudaEventQuery(event_.get());
    if (state == cudaErrorNotReady) return false;
    check(state);
    return true;
  }
  void wait() override {
    submitted_.wait();
    check(cudaEventSynchronize(event_.get()));
  }

 private:
  CudaEventHandle event_;
  Event submitted_;
};

// What is put into `queue` from now on waits for the event.
void hold(CudaQueue& queue, const Event& event) {
  if (const auto* cuda = dynamic_cast<const CudaEvent*>(event.state())) {
    cuda->wait_until_submitted();
    check(cudaStreamWaitEvent(queue.stream(), cuda->get(), 0));
  } else {
    event.wait();
  }
}

// Carries out a body and notes when the GPU was at what it put there.
void timed(CudaQueue& queue, double& sum, Recording* into, const Operation& operation,
           StreamKind kind, const Stream::Body& body) {
  CudaEventHandle begin = queue.mark();
  body();
  CudaEventHandle end = queue.mark();
  const int record = into ? into->add(operation, kind) : -1;
  queue.span(std::move(begin), std::move(end), {&sum, into, record});
}

class CudaCommunicationStream : public Stream {
 public:
  CudaCommunicationStream(std::shared_ptr<CudaQueue> queue, CommunicationDriver driver)
      : Stream(StreamKind::communication),
        queue_(std::move(queue)),
        bodies_(driver == CommunicationDriver::worker_thread
                    ? make_worker_stream(StreamKind::communication)
                    : make_inline_stream(StreamKind::communication)) {}

  // Bodies hold tensors, which go back to the compute stream: not before the GPU is done with them.
  ~CudaCommunicationStream() override {
    bodies_.reset();
    (void)cudaStreamSynchronize(queue_->stream());
  }

  void run(const Operation& operation, Body body) override {
    submit([this, operation, body = std::move(body), into = recording()]() mutable {
      const NvtxRange range(operation.name);
      timed(*queue_, busy_, into, operation, kind(), body);
      keep(std::move(body));
    });
  }
  Event record() override {
    auto event = std::make_shared<CudaEvent>(make_cuda_event());
    submit([this, event] { check(cudaEventRecord(event->get(), queue_->stream())); });
    event->submitted_at(bodies_->record());
    return Event(std::move(event));
  }
  void wait(const Event& event) override {
    submit([this, event] { hold(*queue_, event); });
  }
  void wake() override { bodies_->wake(); }
  void* native() const override { return queue_->stream(); }
  void record_into(Recording* recording) override {
    settle();
    Stream::record_into(recording);
  }
  double busy_seconds() const override { return queue_->read(busy_); }
  double exposed_seconds() const override { return compute_ ? compute_->read(exposed_) : 0; }

  // Whoever waits for an event of this stream notes here how long.
  double& exposed() { return exposed_; }
  void waited_for_by(std::shared_ptr<CudaQueue> compute) { compute_ = std::move(compute); }

 private:
  struct Kept {
    Body body;
    CudaEventHandle done;
  };

  // A thread has a GPU of its own, and whoever waits may carry out a body.
  template <class F>
  void submit(F body) {
    bodies_->run({}, [this, body = std::move(body)]() mutable {
      check(cudaSetDevice(queue_->gpu()));
      body();
    });
  }
  void keep(Body body) {
    kept_.push_back({std::move(body), queue_->mark(EventTime::no)});
    while (cudaEventQuery(kept_.front().done.get()) == cudaSuccess) {
      kept_.pop_front();
      if (kept_.empty()) return;
    }
  }
  void settle() {
    bodies_->synchronize();
    queue_->finish();
  }

  std::shared_ptr<CudaQueue> queue_, compute_;
  double busy_ = 0, exposed_ = 0;
  std::deque<Kept> kept_;
  std::unique_ptr<Stream> bodies_;  // last: its thread uses the others
};

class CudaComputeStream : public Stream {
 public:
  CudaComputeStream(std::shared_ptr<CudaQueue> queue, CudaCommunicationStream& beside)
      : Stream(StreamKind::compute), queue_(std::move(queue)), beside_(beside) {}

  void run(const Operation& operation, Body body) override {
    beside_.wake();
    const NvtxRange range(operation.name);
    if (!recording()) return body();
    timed(*queue_, busy_, recording(), operation, kind(), body);
  }
  Event record() override {
    return Event(std::make_shared<CudaEvent>(queue_->mark(EventTime::no)));
  }
  void wait(const Event& event) override {
    if (!event.state()) return;
    CudaEventHandle begin = queue_->mark();
    hold(*queue_, event);
    queue_->span(std::move(begin), queue_->mark(), {&beside_.exposed()});
  }
  void* native() const override { return queue_->stream(); }
  void record_into(Recording* into) override {
    queue_->finish();
    if (into) queue_->clock().set(queue_->stream());
    Stream::record_into(into);
  }
  double busy_seconds() const override { return queue_->read(busy_); }

  double seconds_of(const Body& work) override {
    const CudaEventHandle begin = queue_->mark();
    work();
    const CudaEventHandle end = queue_->mark();
    check(cudaEventSynchronize(end.get()));
    return seconds_between(begin.get(), end.get());
  }

  void begin_phase(const char* name) override {
    nvtxRangePushA(name);
    phases_.push_back(recording() ? queue_->mark() : CudaEventHandle());
  }
  void end_phase(const Operation& phase, double) override {
    nvtxRangePop();
    CudaEventHandle begin = std::move(phases_.back());
    phases_.pop_back();
    if (!recording() || !begin.get()) return;
    const int record = recording()->add(phase, StreamKind::compute);
    queue_->span(std::move(begin), queue_->mark(), {nullptr, recording(), record});
  }

 private:
  std::shared_ptr<CudaQueue> queue_;
  CudaCommunicationStream& beside_;
  double busy_ = 0;
  std::vector<CudaEventHandle> phases_;
};

}  // namespace

// What travels should not wait behind a long kernel's blocks: communication comes first.
CudaStreams make_cuda_streams(int gpu, CommunicationDriver driver) {
  check(cudaSetDevice(gpu));
  auto clock = std::make_shared<CudaClock>();
  auto queue = std::make_shared<CudaQueue>(gpu, CudaPriority::usual, clock);
  auto communication = std::make_unique<CudaCommunicationStream>(
      std::make_shared<CudaQueue>(gpu, CudaPriority::high, clock), driver);
  communication->waited_for_by(queue);
  auto compute = std::make_unique<CudaComputeStream>(queue, *communication);
  return {std::move(queue), std::move(compute), std::move(communication)};
}

}  // namespace lockstep
