// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor/transfer.hpp"

#include "runtime/base/half.hpp"

namespace lockstep {

void upload(Tensor& y, const void* host, std::size_t bytes) {
  expect(bytes == y.bytes(), "upload: sizes");
  if (bytes && y.raw()) y.device().copy_in(y.raw(), host, bytes);
}

void download(void* host, const Tensor& x, std::size_t bytes) {
  expect(bytes == x.bytes(), "download: sizes");
  if (bytes && x.raw()) x.device().copy_out(host, x.raw(), bytes);
}

std::vector<float> read_floats(const Tensor& x) {
  if (x.dtype() != DType::bfloat16) return read_values(x);
  std::vector<float> values;
  for (const BFloat16 value : read_values<BFloat16>(x))
    values.push_back(float(value));
  return values;
}

float read_scalar(const Tensor& tensor) {
  expect(tensor.count() == 1, "a scalar has one element");
  return read_values(tensor).front();
}

}  // namespace lockstep
