// SPDX-License-Identifier: Apache-2.0
// Fill, copy and add; initial weights.
#pragma once

#include <cstdint>

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

void fill(Tensor& y, float value, Stream& stream);
void copy(Tensor& y, const Tensor& x, Stream& stream);
void add(Tensor& y, const Tensor& x, Stream& stream);  // y += x

// y = N(0, deviation^2): element i takes number i of the Philox stream of `key` (Box-Muller).
void fill_normal(Tensor& y, float deviation, std::uint64_t key, Stream& stream);

// The part of a matrix with `full_columns` that begins at (first_row, first_column): y[r,c] takes
// number (first_row + r) full_columns + first_column + c. The same bits as in the whole matrix.
void fill_normal_part(Tensor& y, float deviation, std::uint64_t key, std::int64_t full_columns,
                      std::int64_t first_row, std::int64_t first_column, Stream& stream);

// Host memory to tensor; `bytes` must be the tensor's size.
void upload(Tensor& y, const void* host, std::size_t bytes, Stream& stream);

// elementwise.cu; copy also converts between float32 and bfloat16.
namespace cuda {
void fill(Tensor& y, float value, Stream& stream);
void copy(Tensor& y, const Tensor& x, Stream& stream);
void add(Tensor& y, const Tensor& x, Stream& stream);
void fill_normal_part(Tensor& y, float deviation, std::uint64_t key, std::int64_t full_columns,
                      std::int64_t first_row, std::int64_t first_column, Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
