// SPDX-License-Identifier: Apache-2.0
#include "models/numerics.hpp"

namespace lockstep {

namespace {

AttentionBy attention_of(const JobSection& job) {
  if (job.attention == "own" || job.precision != "bfloat16") return AttentionBy::own;
  return job.determinism == "fast" ? AttentionBy::library : AttentionBy::library_forward;
}

}  // namespace

Numerics numerics_of(const JobConfig& job) {
  return {.values = job.job.precision == "bfloat16" ? DType::bfloat16 : DType::float32,
          .products = job.job.matmul == "tf32" ? Products::tf32 : Products::float32,
          .attention = attention_of(job.job)};
}

}  // namespace lockstep
