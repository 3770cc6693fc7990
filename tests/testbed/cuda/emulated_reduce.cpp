// SPDX-License-Identifier: Apache-2.0
// The local steps of collectives/backends/nccl/reduce.hpp: the memory of the emulated GPU is the
// host's, and what is launched there is done at once.
#include "collectives/backends/nccl/reduce.hpp"
#include "tests/testbed/cuda/fake_memory.hpp"

namespace lockstep::nccl {

void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op, Stream&) {
  const fake::OnGpu works;
  lockstep::combine(out, a, b, op);
}

void finish(const Elements& result, ReduceOp op, int contributions, Stream&) {
  const fake::OnGpu works;
  lockstep::finish(result, op, contributions);
}

}  // namespace lockstep::nccl
