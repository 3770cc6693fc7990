// SPDX-License-Identifier: Apache-2.0
// Until when a rank waits for others, and who looks after them meanwhile.
#pragma once

#include <limits>

namespace lockstep {

// Looks at the other ranks during a long wait: throws what is wrong with them, if it can see it.
class Watch {
 public:
  virtual ~Watch() = default;
  virtual void look() = 0;
};

struct Deadline {
  double at = std::numeric_limits<double>::infinity();  // a time of now()
  Watch* watch = nullptr;                               // asked now and then
};

}  // namespace lockstep
