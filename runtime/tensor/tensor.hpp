// SPDX-License-Identifier: Apache-2.0
// A Tensor is a view (shape, type, device) over shared storage: contiguous, row-major. Copies are
// views of the same elements; an output argument is a `Tensor&` whose elements are written.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

#include "runtime/base/dtype.hpp"
#include "runtime/base/error.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

class Shape {
 public:
  static constexpr int kMaxDims = 5;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims);
  int rank() const { return rank_; }
  std::int64_t operator[](int dim) const;  // negative counts from the end
  std::int64_t count() const;              // product; 1 without dims
  bool operator==(const Shape& other) const = default;
  std::string text() const;  // "[2, 3]"

 private:
  std::array<std::int64_t, kMaxDims> dims_{};
  int rank_ = 0;
};

class Tensor {
 public:
  Tensor() = default;  // no elements, no device
  static Tensor empty(Device& device, const Shape& shape, DType dtype = DType::float32);
  // Elements in memory that somebody else made, such as Communicator::allocate.
  static Tensor over(Device& device, std::shared_ptr<void> memory, const Shape& shape,
                     DType dtype = DType::float32);

  explicit operator bool() const { return device_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t dim(int i) const { return shape_[i]; }
  std::int64_t count() const { return device_ ? shape_.count() : 0; }
  std::size_t bytes() const { return static_cast<std::size_t>(count()) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device& device() const { return *device_; }

  // Pointer into the device's memory, so only of a cpu tensor one that the host may follow (others:
  // runtime/tensor/transfer.hpp); nullptr on the dry device.
  template <class T = float>
  T* data() {
    expect(dtype_ == dtype_of<T>(), "tensor read as another type");
    return reinterpret_cast<T*>(data_);
  }
  template <class T = float>
  const T* data() const {
    return const_cast<Tensor*>(this)->data<T>();
  }
  template <class T = float>
  std::span<T> values() {
    return {data<T>(), data_ ? static_cast<std::size_t>(count()) : 0};
  }
  template <class T = float>
  std::span<const T> values() const {
    return {data<T>(), data_ ? static_cast<std::size_t>(count()) : 0};
  }
  std::byte* raw() const { return data_; }

  Tensor view(const Shape& shape) const;                     // same elements, same count
  Tensor slice(std::int64_t begin, std::int64_t end) const;  // along dim 0
  bool shares_storage_with(const Tensor& other) const { return memory_ == other.memory_; }

 private:
  std::shared_ptr<void> memory_;
  std::byte* data_ = nullptr;
  Device* device_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::float32;
};

// Stands for so many elements that other software keeps (dry_policy.hpp); nothing where there are
// none.
Tensor kept_besides(Device& device, double elements);

}  // namespace lockstep
