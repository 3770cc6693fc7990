// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor/transfer.hpp"

namespace lockstep {

void upload(Tensor& y, const void* host, std::size_t bytes) {
  expect(bytes == y.bytes(), "upload: sizes");
  if (bytes && y.raw()) y.device().copy_in(y.raw(), host, bytes);
}

void download(void* host, const Tensor& x, std::size_t bytes) {
  expect(bytes == x.bytes(), "download: sizes");
  if (bytes && x.raw()) x.device().copy_out(host, x.raw(), bytes);
}

float read_scalar(const Tensor& tensor) {
  expect(tensor.count() == 1, "a scalar has one element");
  return read_values(tensor).front();
}

}  // namespace lockstep
