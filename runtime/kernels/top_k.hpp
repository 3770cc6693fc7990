// SPDX-License-Identifier: Apache-2.0
// The k largest elements of a vector by magnitude, and sums of such. What is no number is the
// largest; of equal magnitudes the first is taken. The same elements on the host and on a GPU.
//
// A pair is an index and a value. k of them are 2k integers: indices that ascend, then the bits of
// the values.
#pragma once

#include <cstdint>

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

// What take_largest of n elements needs besides, the same memory every time.
Tensor take_largest_workspace(Device& device, std::int64_t n);

// waiting += x, and its k largest become `pairs` [2k] int32 and zeros. By digits of their bits, of
// which each is a pass over the vector, whatever the values are.
void take_largest(Tensor& pairs, Tensor& waiting, const Tensor& x, Tensor& workspace,
                  Stream& stream);

// sum = 0, then of each rank's pairs in order, [ranks * 2k], sum[index] += value.
void add_pairs(Tensor& sum, const Tensor& pairs, int ranks, Stream& stream);

// top_k.cu
namespace cuda {
std::int64_t take_largest_workspace(std::int64_t n);  // integers of 32 bits
void take_largest(Tensor& pairs, Tensor& waiting, const Tensor& x, Tensor& workspace,
                  Stream& stream);
void add_pairs(Tensor& sum, const Tensor& pairs, int ranks, Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
