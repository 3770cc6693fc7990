// SPDX-License-Identifier: Apache-2.0
// The one thread that feeds all lanes of a GPU: bodies run in program order, whatever their lane,
// and what they leave under way is asked until it is done, the oldest of each lane. So no call
// waits for another lane, launches have one order on all ranks, and a deadline is kept also while
// the program waits for the GPU. After the first error nothing more runs and all that is under way
// is given up; whoever waits throws it.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>

#include "runtime/device/device.hpp"

namespace lockstep {

class CudaWorker {
 public:
  CudaWorker(int gpu, CommunicationDriver driver);
  ~CudaWorker();
  CudaWorker(const CudaWorker&) = delete;
  CudaWorker& operator=(const CudaWorker&) = delete;

  void submit(Stream::Body body);
  Event record() { return bodies_->record(); }  // when the bodies so far have run
  void wake() { bodies_->wake(); }

  void attend(Lane lane, std::unique_ptr<UnderWay> work);
  // Of this lane, so far; and whether so many are done. Both throw the error there was.
  std::uint64_t attended(Lane lane) const { return of(lane).taken; }
  bool done(Lane lane, std::uint64_t attended);
  void wait(Lane lane, std::uint64_t attended);
  void wait_for_all();

 private:
  struct Attended {
    std::deque<std::unique_ptr<UnderWay>> open{};  // the oldest first
    std::atomic<std::uint64_t> taken{0}, done{0};
  };
  const Attended& of(Lane lane) const { return lanes_[static_cast<std::size_t>(lane)]; }
  void look();
  void look_at(Attended& lane);
  void give_up() noexcept;
  void expect_no_error() const;

  int gpu_;
  bool alone_;  // no thread: whoever submits a body waits for what it leaves
  // Of whoever runs a body or looks after what is under way; bodies attend.
  std::recursive_mutex turn_;
  std::array<Attended, kNumLanes> lanes_{};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;        // once failed
  std::unique_ptr<Stream> bodies_;  // last: its thread uses the others
};

}  // namespace lockstep
