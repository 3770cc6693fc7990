// SPDX-License-Identifier: Apache-2.0
#include "collectives/backend.hpp"

#include "runtime/device/device.hpp"

namespace lockstep {

std::shared_ptr<void> Backend::allocate(Device& device, std::size_t bytes) {
  return device.allocate(bytes);
}

bool Backend::owns(const Elements&) const {
  return false;
}

}  // namespace lockstep
