// SPDX-License-Identifier: Apache-2.0
// The kernels of a training step as they are called there, each on tensors of its own, by the name
// that its Operation carries: what calibration times is what predictions look for.
#pragma once

#include <functional>
#include <limits>
#include <span>

#include "runtime/device/device.hpp"
#include "runtime/kernels/attention.hpp"

namespace lockstep {

// Launches the kernel once on the compute stream of the device whose tensors it owns.
using Launch = std::function<void()>;

// What a step leaves of a kernel's tensors in the caches: most kernels of a pass work on what the
// one before them has just touched. Those of the optimizer and of the embeddings meet everything
// once a step, the backward of a norm what forward had saved, and residual sums what a whole
// branch has pushed out.
enum class Found : std::uint8_t { cached, in_memory };

// A kernel whose cost goes by the bytes that it moves; `elements` of its largest tensor.
struct StreamingKernel {
  const char* name;
  Launch (*prepare)(Device& device, std::int64_t elements);
  Found found = Found::cached;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();  // elements that a step has of it
  const char* by = "";  // in which way, as its Operation's `detail`
};
std::span<const StreamingKernel> streaming_kernels();
// Those of compressed sums, on buckets of gradients in float32.
std::span<const StreamingKernel> compression_kernels();

// A matrix product of layers, C[m,n] = A[m,k] B[k,n], bias and its gradient included.
struct ProductKernel {
  const char* name;
  Launch (*prepare)(Device& device, std::int64_t m, std::int64_t n, std::int64_t k);
  bool bfloat16_only = false;  // else it is two kernels
};
std::span<const ProductKernel> product_kernels();

struct AttentionKernel {
  const char* name;
  Launch (*prepare)(Device& device, const kernels::AttentionShape& shape);
};
std::span<const AttentionKernel> attention_kernels();

// What a launch says of itself where values are of this type. On the dry device, from the same
// function.
Operation operation_of(const StreamingKernel& kernel, std::int64_t elements,
                       DType values = DType::float32);

}  // namespace lockstep
