// SPDX-License-Identifier: Apache-2.0
// Seconds that the caller spends in communication, since they were last asked for.
#pragma once

#include <utility>

#include "runtime/base/clock.hpp"

namespace lockstep {

class Exposed {
 public:
  template <class Body>
  void during(Body&& body) {
    const double begin = now();
    body();
    seconds_ += now() - begin;
  }
  double take() { return std::exchange(seconds_, 0.0); }

 private:
  double seconds_ = 0;
};

}  // namespace lockstep
