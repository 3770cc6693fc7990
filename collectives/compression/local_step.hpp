// SPDX-License-Identifier: Apache-2.0
// A local step by kernels, in its place among the operations of a group: what `submit` puts into
// the communication stream stands behind all that the compute stream was given before.
#pragma once

#include "collectives/work.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

template <class Submit>
Work local_step(Device& device, Submit submit) {
  Stream& queue = device.communication();
  queue.wait(device.compute().record());
  submit(queue);
  return {device.compute(), queue.record()};
}

}  // namespace lockstep
