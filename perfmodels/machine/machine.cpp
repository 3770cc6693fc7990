// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

const ComputeProfile* Machine::find_compute(const std::string& dtype) const {
  for (const ComputeProfile& c : compute) {
    if (c.dtype == dtype) return &c;
  }
  return nullptr;
}

const LinkProfile* Machine::find_link(const std::string& level) const {
  for (const LinkProfile& l : links) {
    if (l.level == level) return &l;
  }
  return nullptr;
}

}  // namespace lockstep
