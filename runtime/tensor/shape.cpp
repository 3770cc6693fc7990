// SPDX-License-Identifier: Apache-2.0
// Shape alone: files are parsed without a device (tests/fuzz).
#include "runtime/tensor/tensor.hpp"

namespace lockstep {

Shape::Shape(std::span<const std::int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  expect(rank_ <= kMaxDims, "too many dims");
  int i = 0;
  for (std::int64_t d : dims)
    dims_[i++] = d;
}

std::int64_t Shape::operator[](int dim) const {
  if (dim < 0) dim += rank_;
  expect(dim >= 0 && dim < rank_, "no such dim");
  return dims_[dim];
}

std::int64_t Shape::count() const {
  std::int64_t n = 1;
  for (int i = 0; i < rank_; ++i)
    n *= dims_[i];
  return n;
}

std::string Shape::text() const {
  std::string s = "[";
  for (int i = 0; i < rank_; ++i)
    s += (i ? ", " : "") + std::to_string(dims_[i]);
  return s + "]";
}

}  // namespace lockstep
