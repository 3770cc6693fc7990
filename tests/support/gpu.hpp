// SPDX-License-Identifier: Apache-2.0
// Problems that a kernel solves on the GPU and on the CPU, from the same numbers. The GPU is a real
// one, or, in a program linked with tests/testbed/cuda, the emulated one.
#pragma once

#include <cmath>
#include <cstdio>
#include <vector>

#include "runtime/base/half.hpp"
#include "runtime/base/philox.hpp"
#include "runtime/device/cuda_device.hpp"
#include "runtime/device/cuda_info.hpp"
#include "runtime/tensor/transfer.hpp"

namespace lockstep::test {

// What CTest looks for to call a test skipped.
inline bool no_gpu() {
  const CudaInfo info = cuda_info();
  if (info.devices == 0) std::printf("skipped: no GPU: %s\n", info.note.c_str());
  return info.devices == 0;
}

// Where a kernel runs, and the type of its activations. `rounded`: the numbers are those of
// bfloat16, so that the CPU, which computes with float32, starts from the same.
struct Problem {
  Device& device;
  DType type = DType::float32;
  bool rounded = false;

  Stream& stream() const { return device.compute(); }

  Tensor empty(const Shape& shape) const { return Tensor::empty(device, shape, type); }
  Tensor empty32(const Shape& shape) const { return Tensor::empty(device, shape); }

  // Uniform in [-scale, scale).
  Tensor random(const Shape& shape, std::uint64_t key, float scale = 1) const {
    return with(empty(shape), key, scale);
  }
  Tensor random32(const Shape& shape, std::uint64_t key, float scale = 1) const {
    return with(empty32(shape), key, scale);
  }
  Tensor tokens(const Shape& shape, int vocabulary, std::uint64_t key) const {
    Tensor t = Tensor::empty(device, shape, DType::int32);
    std::vector<std::int32_t> values(static_cast<std::size_t>(t.count()));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<std::int32_t>(philox(key, i).word[1] % vocabulary);
    upload(t, values.data(), t.bytes());
    return t;
  }

 private:
  Tensor with(Tensor t, std::uint64_t key, float scale) const {
    std::vector<float> values(static_cast<std::size_t>(t.count()));
    std::vector<BFloat16> halves(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = scale * (2 * uniform01(philox(key, i).word[0]) - 1);
      halves[i] = BFloat16(values[i]);
      if (rounded) values[i] = static_cast<float>(halves[i]);
    }
    const bool half = t.dtype() == DType::bfloat16;
    upload(t, half ? static_cast<const void*>(halves.data()) : values.data(), t.bytes());
    return t;
  }
};

inline std::vector<double> numbers_of(const Tensor& x) {
  std::vector<double> numbers;
  if (x.dtype() == DType::bfloat16) {
    for (const BFloat16 v : read_values<BFloat16>(x))
      numbers.push_back(static_cast<float>(v));
  } else if (x.dtype() == DType::float64) {
    numbers = read_values<double>(x);
  } else {
    for (const float v : read_values(x))
      numbers.push_back(v);
  }
  return numbers;
}

// The largest of |a - b| / (1 + |b|); not a number counts as infinite.
inline double difference(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = numbers_of(a), y = numbers_of(b);
  if (x.size() != y.size()) return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = std::abs(x[i] - y[i]) / (1 + std::abs(y[i]));
    largest = d <= largest ? largest : std::isnan(d) ? INFINITY : d;
  }
  return largest;
}

}  // namespace lockstep::test
