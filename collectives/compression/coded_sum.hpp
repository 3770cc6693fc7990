// SPDX-License-Identifier: Apache-2.0
// The sum of a bucket whose blocks travel in a code of fewer bytes (runtime/kernels/codes.hpp),
// twice: all_to_all of the coded contributions, each rank decodes and sums its block in rank order
// in float32, all_gather of the coded sums. All ranks decode the same bytes, so they end with the
// same bits.
//
//   bytes  2(p-1) * c      sent per rank; c: the code of ceil(n/p) elements
//
// With error feedback a rank keeps what its code lost of its contribution, and of the sum of its
// block, and adds that the next time.
#pragma once

#include <cstdint>
#include <memory>

#include "collectives/compression/compression.hpp"
#include "runtime/kernels/codes.hpp"

namespace lockstep {

enum class Feedback : std::uint8_t { none, error };

std::unique_ptr<Compression> make_coded_sum(kernels::Code code, Feedback feedback,
                                            const Communicator& group, Device& device,
                                            const BucketParts& parts);
double coded_sum_bytes(kernels::Code code, int ranks, const BucketParts& parts);

}  // namespace lockstep
