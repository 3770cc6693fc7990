// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/cuda_stream.hpp"

#include <deque>
#include <utility>
#include <vector>

#include <nvtx3/nvToolsExt.h>

#include "runtime/device/cuda_worker.hpp"

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
  // Of a lane; what is in the compute stream is there at once. `exposed`: who waits adds how long.
  void of_lane(CudaWorker& worker, Lane lane, double* exposed) {
    worker_ = &worker;
    lane_ = lane;
    exposed_ = exposed;
  }
  void submitted_at(Event event) { submitted_ = std::move(event); }
  void follow(std::uint64_t attended) { attended_ = attended; }  // what is under way before it
  double* exposed() const { return exposed_; }

  bool complete() override {
    if (!submitted_.done()) return false;
    if (worker_ && !worker_->done(lane_, attended_)) return false;
    const cudaError_t state = cudaEventQuery(event_.get());
    if (state == cudaErrorNotReady) return false;
    check(state);
    return true;
  }
  // All that the host has to see done.
  void wait_on_host() {
    submitted_.wait();
    if (worker_) worker_->wait(lane_, attended_);
  }
  void wait() override {
    wait_on_host();
    check(cudaEventSynchronize(event_.get()));
  }

 private:
  CudaEventHandle event_;
  CudaWorker* worker_ = nullptr;
  Lane lane_ = Lane::world;
  double* exposed_ = nullptr;
  Event submitted_;
  std::uint64_t attended_ = 0;
};

// What is put into `queue` from now on waits for the event, and so does the host. It keeps what
// lanes hold from piling up: with a host that runs ahead, ZeRO-3 would have gathered all layers at
// once. And nothing is computed from what a lane failed to bring.
void hold(CudaQueue& queue, const Event& event) {
  if (auto* cuda = dynamic_cast<CudaEvent*>(event.state())) {
    cuda->wait_on_host();
    check(cudaStreamWaitEvent(queue.stream(), cuda->get(), 0));
  } else {
    event.wait();
  }
}

// Carries out a body and notes when the GPU was at what it put there.
void timed(CudaQueue& queue, double& sum, Recording* into, const Operation& operation,
           StreamKind kind, const Stream::Body& body, Lane lane = Lane::world) {
  CudaEventHandle begin = queue.mark();
  body();
  CudaEventHandle end = queue.mark();
  const int record = into ? into->add(operation, kind, 0, 0, lane) : -1;
  queue.span(std::move(begin), std::move(end), {&sum, into, record});
}

class CudaLane : public Stream {
 public:
  CudaLane(Lane lane, std::shared_ptr<CudaQueue> queue, std::shared_ptr<CudaQueue> compute,
           std::shared_ptr<CudaWorker> worker)
      : Stream(StreamKind::communication, lane),
        queue_(std::move(queue)),
        compute_(std::move(compute)),
        worker_(std::move(worker)) {}

  // Bodies hold tensors, which go back to the compute stream: not before the GPU is done with them.
  ~CudaLane() override {
    try {
      settle();
    } catch (const std::exception&) {  // whoever waited has it
    }
    (void)cudaStreamSynchronize(queue_->stream());
  }

  void run(const Operation& operation, Body body) override {
    worker_->submit([this, operation, body = std::move(body), into = recording()]() mutable {
      const NvtxRange range(operation.name);
      timed(*queue_, busy_, into, operation, kind(), body, lane());
      keep(std::move(body));
    });
  }
  void attend(std::unique_ptr<UnderWay> work) override { worker_->attend(lane(), std::move(work)); }
  Event record() override {
    auto event = std::make_shared<CudaEvent>(make_cuda_event());
    event->of_lane(*worker_, lane(), &exposed_);
    worker_->submit([this, event] {
      event->follow(worker_->attended(lane()));
      check(cudaEventRecord(event->get(), queue_->stream()));
    });
    event->submitted_at(worker_->record());
    return Event(std::move(event));
  }
  void wait(const Event& event) override {
    worker_->submit([this, event] { hold(*queue_, event); });
  }
  void wake() override { worker_->wake(); }
  void* native() const override { return queue_->stream(); }
  void record_into(Recording* recording) override {
    settle();
    Stream::record_into(recording);
  }
  double busy_seconds() const override { return queue_->read(busy_); }
  double exposed_seconds() const override { return compute_->read(exposed_); }

 private:
  struct Kept {
    Body body;
    CudaEventHandle done;
  };

  void keep(Body body) {
    kept_.push_back({std::move(body), queue_->mark(EventTime::no)});
    while (!kept_.empty() && cudaEventQuery(kept_.front().done.get()) == cudaSuccess)
      kept_.pop_front();
  }
  void settle() {
    synchronize();
    queue_->finish();
  }

  std::shared_ptr<CudaQueue> queue_, compute_;
  std::shared_ptr<CudaWorker> worker_;
  double busy_ = 0, exposed_ = 0;
  std::deque<Kept> kept_;
};

class CudaComputeStream : public Stream {
 public:
  CudaComputeStream(std::shared_ptr<CudaQueue> queue, std::shared_ptr<CudaWorker> beside)
      : Stream(StreamKind::compute), queue_(std::move(queue)), beside_(std::move(beside)) {}

  void run(const Operation& operation, Body body) override {
    beside_->wake();
    const NvtxRange range(operation.name);
    if (!recording()) return body();
    timed(*queue_, busy_, recording(), operation, kind(), body);
  }
  Event record() override {
    return Event(std::make_shared<CudaEvent>(queue_->mark(EventTime::no)));
  }
  void wait(const Event& event) override {
    const auto* of_lane = dynamic_cast<const CudaEvent*>(event.state());
    if (!of_lane) return event.wait();
    CudaEventHandle begin = queue_->mark();
    hold(*queue_, event);
    queue_->span(std::move(begin), queue_->mark(), {of_lane->exposed()});
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
  std::shared_ptr<CudaWorker> beside_;
  double busy_ = 0;
  std::vector<CudaEventHandle> phases_;
};

}  // namespace

// What travels should not wait behind a long kernel's blocks: communication comes first.
CudaStreams make_cuda_streams(int gpu, CommunicationDriver driver) {
  check(cudaSetDevice(gpu));
  auto clock = std::make_shared<CudaClock>();
  const auto worker = std::make_shared<CudaWorker>(gpu, driver);
  CudaStreams streams;
  streams.queue = std::make_shared<CudaQueue>(gpu, CudaPriority::usual, clock);
  streams.compute = std::make_unique<CudaComputeStream>(streams.queue, worker);
  for (std::size_t lane = 0; lane < kNumLanes; ++lane) {
    streams.lanes.push_back(std::make_unique<CudaLane>(
        static_cast<Lane>(lane), std::make_shared<CudaQueue>(gpu, CudaPriority::high, clock),
        streams.queue, worker));
  }
  return streams;
}

}  // namespace lockstep
