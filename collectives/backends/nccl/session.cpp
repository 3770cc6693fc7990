// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/nccl/session.hpp"

#include <utility>

#include "collectives/wait_errors.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/device/device.hpp"

namespace lockstep::nccl {

namespace {

int current_gpu() {
  int gpu = 0;
  check(cudaGetDevice(&gpu));
  return gpu;
}

constexpr double kLookSeconds = 0.25;  // at the other ranks

class Launched : public UnderWay {
 public:
  Launched(std::shared_ptr<Comm> comm, CudaEventHandle begun, CudaEventHandle finished,
           const Deadline& deadline, std::string doing)
      : comm_(std::move(comm)),
        begun_(std::move(begun)),
        finished_(std::move(finished)),
        patience_(deadline.at - now()),
        watch_(deadline.watch),
        doing_(std::move(doing)) {}

  bool done() override {
    if (is_past(finished_)) return true;
    try {
      look();
    } catch (...) {
      comm_->abort();
      throw;
    }
    return false;
  }
  void give_up() noexcept override { comm_->abort(); }

 private:
  static bool is_past(const CudaEventHandle& event) {
    const cudaError_t state = cudaEventQuery(event.get());
    if (state != cudaErrorNotReady) check(state);
    return state == cudaSuccess;
  }

  void look() {
    comm_->look();
    if (!waits_ && !(waits_ = is_past(begun_))) return;
    const double time = now();
    if (since_ == 0) since_ = looked_ = time;
    if (time > since_ + patience_) throw_timeout(doing_);
    if (!watch_ || time < looked_ + kLookSeconds) return;
    looked_ = time;
    watch_->look();
  }

  std::shared_ptr<Comm> comm_;
  CudaEventHandle begun_, finished_;
  double patience_;
  Watch* watch_;
  std::string doing_;
  bool waits_ = false;
  double since_ = 0, looked_ = 0;
};

}  // namespace

Session::Session(std::shared_ptr<Comm> comm, Device& device)
    : comm_(std::move(comm)),
      device_(device),
      gpu_(current_gpu()),
      queue_(&device.communication()),
      word_(comm_ ? memory(1) : nullptr) {}

void Session::enter() const {
  check(cudaSetDevice(gpu_));
}

void Session::launch_into(Stream& queue) {
  queue_ = &queue;
}

cudaStream_t Session::stream() const {
  return static_cast<cudaStream_t>(queue_->native());
}

void Session::begin(const Deadline& deadline) {
  enter();
  deadline_ = deadline;
  if (comm_) begun_ = marked();
}

void Session::group(const std::function<void()>& calls) {
  comm_->group(deadline_, calls);
}

void Session::send(const Elements& data, int to) {
  if (data.count == 0) return;
  comm_->check(library().send(data.data, data.bytes(), ncclUint8, to, comm_->get(), stream()));
}

void Session::receive(const Elements& data, int from) {
  if (data.count == 0) return;
  comm_->check(library().receive(data.data, data.bytes(), ncclUint8, from, comm_->get(), stream()));
}

void Session::copy(const Elements& out, const Elements& in) {
  expect(out.bytes() == in.bytes(), "copy of unequal sizes");
  if (out.data == in.data || in.bytes() == 0) return;
  check(cudaMemcpyAsync(out.data, in.data, in.bytes(), cudaMemcpyDefault, stream()));
}

void Session::end(const std::string& doing) {
  if (!comm_) return;
  if (!begun_.get()) begun_ = marked();  // further steps of the same begin(), as measuring takes
  launched_ = std::make_unique<Launched>(comm_, std::move(begun_), marked(), deadline_, doing);
}

std::unique_ptr<UnderWay> Session::take_under_way() {
  return std::move(launched_);
}

CudaEventHandle Session::marked() const {
  CudaEventHandle event = make_cuda_event();
  check(cudaEventRecord(event.get(), stream()));
  return event;
}

std::shared_ptr<Comm> Session::split(int color, int key, const Deadline& deadline) {
  enter();
  return comm_ ? comm_->split(color, key, deadline) : nullptr;
}

std::shared_ptr<std::byte> Session::memory(std::size_t bytes) const {
  enter();
  void* memory = nullptr;
  check(cudaMalloc(&memory, bytes));
  return {static_cast<std::byte*>(memory), [](std::byte* m) { (void)cudaFree(m); }};
}

std::string messages_text(std::span<const Call> messages) {
  std::string text;
  for (const Call& m : messages) {
    text +=
        (text.empty() ? "" : " and ") +
        (m.what == Collective::send ? sending(m.bytes(), m.root) : receiving(m.bytes(), m.root));
  }
  return text;
}

}  // namespace lockstep::nccl
