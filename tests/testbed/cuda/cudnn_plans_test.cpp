// SPDX-License-Identifier: Apache-2.0
// The real cuDNN, where the toolkit has it, accepts our attention for an H100 that is not here and
// compiles a kernel for it.
#include <cstdio>
#include <string>

#include "runtime/kernels/attention_cudnn.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;
using kernels::AttentionShape;
using kernels::cuda::AttentionPass;

namespace {

// As cuDNN writes it. NVIDIA H100 SXM5, tuning guide of Hopper and deviceQuery.
const std::string kH100 = R"({
  "deviceName": "NVIDIA H100 80GB HBM3", "deviceVer": 900, "driverVer": 13000, "cudaDeviceId": 0,
  "pciDeviceId": 0, "isTccDriver": 0, "supportCoopLaunch": 1, "warpSize": 32,
  "multiProcessorCount": 132, "maxCtasPerSM": 32, "maxThreadsPerSM": 2048,
  "maxThreadsPerBlock": 1024, "maxBlockSize": [1024, 1024, 64],
  "maxGridSize": [2147483647, 65535, 65535], "regsPerBlock": 65536, "maxRegistersPerSM": 65536,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
  "reservedSharedMemoryPerBlock": 1024, "totalGlobalMem": 85029158912, "l2CacheSize": 52428800,
  "smClockRateKHz": 1980000, "memClockRateKHz": 2619000})";

void check(AttentionPass pass, const AttentionShape& shape) {
  const std::string refusal = kernels::cuda::fused_attention_refusal(pass, shape, kH100);
  if (refusal.find("cannot be opened") != std::string::npos ||
      refusal.find("built without") != std::string::npos) {
    std::printf("skipped: %s\n", refusal.c_str());
    return;
  }
  INFO("batch " << shape.batch << " tokens " << shape.tokens << " channels " << shape.head_dim);
  CHECK(refusal == "");
}

}  // namespace

TEST_CASE("cuDNN has an engine for the attention of GPT-2") {
  const AttentionShape gpt2 = AttentionShape::whole(32, 1024, 12, 64);
  check(AttentionPass::forward, gpt2);
  check(AttentionPass::backward, gpt2);
}

TEST_CASE("cuDNN has an engine for what the tests of kernels ask of it") {
  check(AttentionPass::forward, AttentionShape::whole(2, 64, 2, 64));
  check(AttentionPass::backward, AttentionShape::whole(2, 64, 2, 64));
  check(AttentionPass::forward, {1, 64, 4, 2, 64, 4, 0});
}

TEST_CASE("cuDNN has an engine for heads that share keys, and for heads of 128") {
  check(AttentionPass::forward, {2, 2048, 32, 8, 128, 32, 0});
  check(AttentionPass::backward, AttentionShape::whole(2, 2048, 16, 128));
}
