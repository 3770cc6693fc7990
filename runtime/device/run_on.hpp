// SPDX-License-Identifier: Apache-2.0
// How the public function of a kernel chooses between its bodies: it states its cost once, hands
// over the loop for the host (.cpp) and the call of its CUDA form (.cu), and the stream takes one.
// A body that this build lacks is never instantiated, so nothing is missing at link time.
#pragma once

#include <utility>

#include "runtime/base/cuda_built.hpp"
#include "runtime/device/stream.hpp"

namespace lockstep {

template <class OnHost, class OnCuda>
void run_on(Stream& stream, const Operation& cost, OnHost on_host, OnCuda on_cuda) {
  if constexpr (kCudaBuilt) {
    if (stream.native()) return stream.run(cost, std::move(on_cuda));
  }
  stream.run(cost, std::move(on_host));
}

}  // namespace lockstep
