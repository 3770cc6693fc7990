// SPDX-License-Identifier: Apache-2.0
// The local steps of collectives/backends/nccl/reduce.hpp, which a program linked with this has in
// place of kernels: the host's, in their turn in the stream.
#include "collectives/backends/nccl/reduce.hpp"
#include "tests/testbed/nccl/fake_gpu.hpp"

namespace lockstep::nccl {

namespace {

void enqueue(Stream& stream, const std::function<void()>& body) {
  fake::enqueue(static_cast<cudaStream_t>(stream.native()), [body] {
    body();
    return true;
  });
}

}  // namespace

void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op,
             Stream& stream) {
  enqueue(stream, [=] { lockstep::combine(out, a, b, op); });
}

void finish(const Elements& result, ReduceOp op, int contributions, Stream& stream) {
  enqueue(stream, [=] { lockstep::finish(result, op, contributions); });
}

}  // namespace lockstep::nccl
