// SPDX-License-Identifier: Apache-2.0
// Batches to evaluate on: windows evenly spaced over the validation range, the same in every layout
// and at every step. Where the range holds fewer windows than are asked for, they overlap.
#pragma once

#include <cstdint>

#include "runtime/data/batch.hpp"

namespace lockstep {

struct ValidationOptions {
  std::int64_t batch = 8;  // sequences per batch
  std::int64_t batches = 8;
  std::int64_t sequence = 256;
};

class ValidationReader {
 public:
  ValidationReader(TokenRange range, const ValidationOptions& options);

  std::int64_t batches() const { return options_.batches; }
  HostBatch validation_batch(std::int64_t k) const;  // k below batches()

 private:
  TokenRange range_;
  ValidationOptions options_;
};

}  // namespace lockstep
