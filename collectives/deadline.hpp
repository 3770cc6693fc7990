// SPDX-License-Identifier: Apache-2.0
// Until when a rank waits for others, and who looks after them meanwhile.
#pragma once

namespace lockstep {

// Looks at the other ranks during a long wait: throws what is wrong with them, if it can see it.
class Watch {
 public:
  virtual ~Watch() = default;
  virtual void look() = 0;
};

struct Deadline {
  double at = 0;           // a time of now()
  Watch* watch = nullptr;  // asked now and then
};

}  // namespace lockstep
