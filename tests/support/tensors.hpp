// SPDX-License-Identifier: Apache-2.0
// Small tensors for tests, made from host values and Philox.
#pragma once

#include <algorithm>
#include <vector>

#include "runtime/base/philox.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep::test {

template <class T>
Tensor tensor_of(Device& device, const std::vector<T>& values, const Shape& shape) {
  Tensor t = Tensor::empty(device, shape, dtype_of<T>());
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

inline Tensor copy_of(const Tensor& x) {
  Tensor y = Tensor::empty(x.device(), x.shape());
  std::copy(x.values().begin(), x.values().end(), y.data());
  return y;
}

// Uniform in [-1, 1).
inline Tensor random_tensor(Device& device, const Shape& shape, std::uint64_t key) {
  Tensor t = Tensor::empty(device, shape);
  for (std::int64_t i = 0; i < t.count(); ++i) {
    t.data()[i] = 2 * uniform01(philox(key, static_cast<std::uint64_t>(i)).word[0]) - 1;
  }
  return t;
}

inline Tensor random_tokens(Device& device, const Shape& shape, int vocabulary, std::uint64_t key) {
  Tensor t = Tensor::empty(device, shape, DType::int32);
  for (std::int64_t i = 0; i < t.count(); ++i) {
    const std::uint32_t word = philox(key, static_cast<std::uint64_t>(i)).word[1];
    t.data<std::int32_t>()[i] = static_cast<std::int32_t>(word % vocabulary);
  }
  return t;
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  double largest = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) {
    largest = std::max(largest, std::abs(double{a.data()[i]} - b.data()[i]));
  }
  return largest;
}

}  // namespace lockstep::test
