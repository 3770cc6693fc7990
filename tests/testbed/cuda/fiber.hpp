// SPDX-License-Identifier: Apache-2.0
// A function that runs on a stack of its own and can stop in the middle of it.
#pragma once

#include <cstddef>

namespace lockstep::emulated {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void start(void (*entry)());  // the next resume() begins there; what ran before is forgotten
  void resume();                // until the fiber pauses or its entry returns
  static void pause();          // by the fiber that runs
  bool done() const { return done_; }

 private:
  static void begin();

  void* stack_;
  void* at_ = nullptr;
  void (*entry_)() = nullptr;
  void* shadow_stack_ = nullptr;  // the address sanitizer's, of a fiber that pauses
  bool done_ = true;
};

}  // namespace lockstep::emulated
