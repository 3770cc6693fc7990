// SPDX-License-Identifier: Apache-2.0
// What a body has put on a GPU and somebody looks after until it is done: that may take longer than
// a deadline, and go wrong.
#pragma once

#include <memory>

namespace lockstep {

class UnderWay {
 public:
  UnderWay() = default;
  virtual ~UnderWay() = default;
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;

  virtual bool done() = 0;              // throws what went wrong
  virtual void give_up() noexcept = 0;  // something else went wrong: it ends
};

// Of nothing: returns at once.
inline void wait_for(const std::unique_ptr<UnderWay>& work) {
  while (work && !work->done()) {
  }
}

}  // namespace lockstep
