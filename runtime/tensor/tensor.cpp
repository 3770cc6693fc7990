// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor/tensor.hpp"

#include <cmath>
#include <utility>

namespace lockstep {

Tensor Tensor::empty(Device& device, const Shape& shape, DType dtype) {
  const auto bytes = static_cast<std::size_t>(shape.count()) * size_of(dtype);
  return over(device, device.allocate(bytes), shape, dtype);
}

Tensor Tensor::over(Device& device, std::shared_ptr<void> memory, const Shape& shape, DType dtype) {
  Tensor t;
  t.data_ = static_cast<std::byte*>(memory.get());
  t.memory_ = std::move(memory);
  t.device_ = &device;
  t.shape_ = shape;
  t.dtype_ = dtype;
  return t;
}

Tensor Tensor::view(const Shape& shape) const {
  expect(shape.count() == count(), "a view keeps the number of elements");
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t end) const {
  expect(shape_.rank() == 1 || shape_.rank() == 2, "slices are of vectors and matrices");
  expect(0 <= begin && begin <= end && end <= dim(0), "slice out of range");
  Tensor t = *this;
  const std::int64_t row = shape_.rank() == 2 ? dim(1) : 1;
  t.shape_ = shape_.rank() == 2 ? Shape{end - begin, row} : Shape{end - begin};
  if (data_) t.data_ = data_ + static_cast<std::size_t>(begin * row) * size_of(dtype_);
  return t;
}

Tensor kept_besides(Device& device, double elements) {
  return elements > 0 ? Tensor::empty(device, {std::llround(elements)}) : Tensor();
}

}  // namespace lockstep
