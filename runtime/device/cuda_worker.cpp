// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/cuda_worker.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <cuda_runtime_api.h>

#include "runtime/base/cuda_check.hpp"

namespace lockstep {

namespace {

// A collective that takes longer than this takes so long that a sleep does not matter.
constexpr int kYields = 1000;
constexpr std::chrono::microseconds kSleep{20};

}  // namespace

CudaWorker::CudaWorker(int gpu, CommunicationDriver driver)
    : gpu_(gpu),
      alone_(driver == CommunicationDriver::caller),
      bodies_(alone_ ? make_inline_stream(StreamKind::communication)
                     : make_worker_stream(StreamKind::communication, [this] { look(); })) {}

CudaWorker::~CudaWorker() {
  bodies_.reset();
  try {
    wait_for_all();
  } catch (const std::exception&) {  // whoever waited has it, and all was given up
  }
}

// A thread has a GPU of its own, and whoever waits may carry out a body.
void CudaWorker::submit(Stream::Body body) {
  bodies_->run({}, [this, body = std::move(body)] {
    {
      std::lock_guard turn(turn_);
      expect_no_error();
      check(cudaSetDevice(gpu_));
      body();
    }
    if (alone_) wait_for_all();
  });
}

void CudaWorker::attend(Lane lane, std::unique_ptr<UnderWay> work) {
  std::lock_guard turn(turn_);
  Attended& all = lanes_[static_cast<std::size_t>(lane)];
  all.open.push_back(std::move(work));
  ++all.taken;
}

bool CudaWorker::done(Lane lane, std::uint64_t attended) {
  if (of(lane).done < attended) look();
  expect_no_error();
  return of(lane).done >= attended;
}

void CudaWorker::wait(Lane lane, std::uint64_t attended) {
  for (int polls = 0; !done(lane, attended); ++polls) {
    if (polls < kYields) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kSleep);
    }
  }
}

void CudaWorker::wait_for_all() {
  for (std::size_t lane = 0; lane < kNumLanes; ++lane)
    wait(static_cast<Lane>(lane), lanes_[lane].taken);
}

// Nothing to do while a body runs: its thread looks behind it.
void CudaWorker::look() {
  const std::unique_lock turn(turn_, std::try_to_lock);
  const auto idle = [](const Attended& lane) { return lane.open.empty(); };
  if (!turn || failed_ || std::all_of(lanes_.begin(), lanes_.end(), idle)) return;
  try {
    check(cudaSetDevice(gpu_));
    for (Attended& lane : lanes_)
      look_at(lane);
  } catch (...) {
    give_up();
    error_ = std::current_exception();
    failed_ = true;
  }
}

void CudaWorker::look_at(Attended& lane) {
  while (!lane.open.empty() && lane.open.front()->done()) {
    lane.open.pop_front();
    ++lane.done;
  }
}

void CudaWorker::give_up() noexcept {
  for (Attended& lane : lanes_) {
    for (const auto& work : lane.open)
      work->give_up();
  }
}

void CudaWorker::expect_no_error() const {
  if (failed_) std::rethrow_exception(error_);
}

}  // namespace lockstep
