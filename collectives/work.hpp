// SPDX-License-Identifier: Apache-2.0
// One collective under way. wait() orders the compute stream behind it: on the cpu that blocks the
// caller, on a device with real streams only later kernels wait. It rethrows what the collective
// threw. Dropping a Work is allowed: the operation still runs, in its place in the queue.
#pragma once

#include <utility>

#include "runtime/device/stream.hpp"

namespace lockstep {

class [[nodiscard]] Work {
 public:
  Work(Stream& waiter, Event finished) : waiter_(&waiter), finished_(std::move(finished)) {}
  Work(Work&&) = default;
  Work& operator=(Work&&) = default;
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  void wait() { waiter_->wait(finished_); }
  bool done() const { return finished_.done(); }

 private:
  Stream* waiter_;
  Event finished_;
};

}  // namespace lockstep
