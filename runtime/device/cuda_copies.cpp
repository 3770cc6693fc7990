// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/cuda_copies.hpp"

#include "runtime/device/cuda_handles.hpp"

namespace lockstep {

namespace {

int current_gpu() {
  int gpu = 0;
  check(cudaGetDevice(&gpu));
  return gpu;
}

CudaStreamHandle make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return CudaStreamHandle(stream);
}

}  // namespace

struct CudaCopies::State {
  int gpu;
  cudaStream_t outward;
  CudaStreamHandle inward;
};

CudaCopies::CudaCopies(Device& device)
    : state_(new State{current_gpu(), static_cast<cudaStream_t>(device.communication().native()),
                       make_stream()}) {}

CudaCopies::~CudaCopies() = default;

void CudaCopies::go_out_in(Stream& stream) {
  state_->outward = static_cast<cudaStream_t>(stream.native());
}

void CudaCopies::enter() const {
  check(cudaSetDevice(state_->gpu));
}

void CudaCopies::out(std::byte* host, const std::byte* gpu, std::size_t bytes) {
  check(cudaMemcpyAsync(host, gpu, bytes, cudaMemcpyDeviceToHost, state_->outward));
}

void CudaCopies::in(std::byte* gpu, const std::byte* host, std::size_t bytes) {
  check(cudaMemcpyAsync(gpu, host, bytes, cudaMemcpyHostToDevice, state_->inward.get()));
}

void CudaCopies::on_gpu(std::byte* to, const std::byte* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, state_->outward));
}

namespace {

std::shared_ptr<void> marked(cudaStream_t stream) {
  auto event = std::make_shared<CudaEventHandle>(make_cuda_event());
  check(cudaEventRecord(event->get(), stream));
  return event;
}

}  // namespace

CudaCopies::Mark CudaCopies::mark_out() {
  Mark mark;
  mark.event_ = marked(state_->outward);
  return mark;
}

CudaCopies::Mark CudaCopies::mark_in() {
  Mark mark;
  mark.event_ = marked(state_->inward.get());
  return mark;
}

bool CudaCopies::Mark::done() const {
  if (!event_) return true;
  const cudaError_t state = cudaEventQuery(static_cast<CudaEventHandle*>(event_.get())->get());
  if (state == cudaErrorNotReady) return false;
  check(state);
  return true;
}

std::shared_ptr<std::byte> CudaCopies::pinned(std::size_t bytes) {
  auto memory = std::make_shared<PinnedMemory>(pinned_memory(bytes));
  auto* const begin = static_cast<std::byte*>(memory->get());
  return {std::move(memory), begin};
}

}  // namespace lockstep
