// SPDX-License-Identifier: Apache-2.0
// Between tensors and the host's memory, on every device: what reads or writes elements on the host
// goes through here. In the order of the compute stream; on the dry device nothing moves, and what
// is read is zero.
#pragma once

#include <span>
#include <vector>

#include "runtime/tensor/tensor.hpp"

namespace lockstep {

// The elements become those at `host`, which may change when it returns.
void upload(Tensor& y, const void* host, std::size_t bytes);
template <class T>
void upload(Tensor& y, std::span<const T> values) {
  expect(y.dtype() == dtype_of<T>(), "tensor written as another type");
  upload(y, values.data(), values.size_bytes());
}

// The elements, when all that was submitted to the compute stream is done.
void download(void* host, const Tensor& x, std::size_t bytes);
template <class T = float>
std::vector<T> read_values(const Tensor& x) {
  expect(x.dtype() == dtype_of<T>(), "tensor read as another type");
  std::vector<T> values(static_cast<std::size_t>(x.count()));
  download(values.data(), x, x.bytes());
  return values;
}

// The same of float32 or bfloat16, as float32.
std::vector<float> read_floats(const Tensor& x);

// The one element of a float32 tensor.
float read_scalar(const Tensor& tensor);

}  // namespace lockstep
