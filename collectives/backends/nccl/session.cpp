// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/nccl/session.hpp"

#include <utility>

#include "collectives/backoff.hpp"
#include "collectives/wait_errors.hpp"
#include "runtime/device/device.hpp"

namespace lockstep::nccl {

namespace {

int current_gpu() {
  int gpu = 0;
  check(cudaGetDevice(&gpu));
  return gpu;
}

}  // namespace

Session::Session(std::shared_ptr<Comm> comm, Device& device)
    : comm_(std::move(comm)),
      device_(device),
      gpu_(current_gpu()),
      stream_(static_cast<cudaStream_t>(device.communication().native())),
      finished_(make_cuda_event()),
      word_(comm_ ? memory(1) : nullptr) {}

void Session::enter() const {
  check(cudaSetDevice(gpu_));
}

void Session::begin(const Deadline& deadline) {
  enter();
  deadline_ = deadline;
}

void Session::group(const std::function<void()>& calls) {
  comm_->group(deadline_, calls);
}

void Session::send(const Elements& data, int to) {
  if (data.count == 0) return;
  comm_->check(library().send(data.data, data.bytes(), ncclUint8, to, comm_->get(), stream_));
}

void Session::receive(const Elements& data, int from) {
  if (data.count == 0) return;
  comm_->check(library().receive(data.data, data.bytes(), ncclUint8, from, comm_->get(), stream_));
}

void Session::copy(const Elements& out, const Elements& in) {
  expect(out.bytes() == in.bytes(), "copy of unequal sizes");
  if (out.data == in.data || in.bytes() == 0) return;
  check(cudaMemcpyAsync(out.data, in.data, in.bytes(), cudaMemcpyDefault, stream_));
}

void Session::end(const std::string& doing) {
  if (!comm_) return;
  try {
    if (await()) return;
  } catch (...) {
    comm_->abort();
    throw;
  }
  comm_->abort();
  throw_timeout(doing);
}

// False when the deadline has passed.
bool Session::await() {
  check(cudaEventRecord(finished_.get(), stream_));
  Backoff backoff(deadline_, Crowding::far);
  for (;;) {
    const cudaError_t state = cudaEventQuery(finished_.get());
    if (state == cudaSuccess) return true;
    if (state != cudaErrorNotReady) check(state);
    comm_->look();
    if (!backoff.pause()) return false;
  }
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
