// SPDX-License-Identifier: Apache-2.0
// How a job is laid out on so many ranks, as plan varies it.
#pragma once

#include <cstdint>
#include <string>

#include "parallelism/mesh/degrees.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

struct Layout {
  MeshDegrees degrees{};
  std::int64_t micro = 1, num_micro = 1;  // sequences per micro-batch; micro-batches per step
  double bucket_mb = 0;
  std::string algorithm = "auto", compression = "none";
  int chunks = 1, zero = 0;
  std::string schedule = "1f1b", recompute = "none";
  bool sequence_parallel = false;
};

// Whether weight gradients wait for passes of their own.
bool defers(const Layout& layout);

// "data 8, micro-batch 2 x 4, buckets of 16 MB, ring"
std::string text_of(const Layout& layout);
// The job in that layout, and that of a job whose degrees are resolved.
JobConfig with_layout(JobConfig job, const Layout& layout);
Layout layout_of(const JobConfig& job, const MeshDegrees& degrees);

}  // namespace lockstep
