// SPDX-License-Identifier: Apache-2.0
#include "collectives/reduce.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "runtime/base/error.hpp"
#include "runtime/base/half.hpp"

namespace lockstep {

namespace {

// Calls f with a value of the C++ type that `dtype` names.
template <class F>
void with_type(DType dtype, F f) {
  switch (dtype) {
    case DType::float32:
      return f(float{});
    case DType::float64:
      return f(double{});
    case DType::int32:
      return f(std::int32_t{});
    case DType::int64:
      return f(std::int64_t{});
    case DType::uint8:
      return f(std::uint8_t{});
    case DType::bfloat16:
      return f(BFloat16{});
    case DType::float16:
      return f(Float16{});
  }
  throw LogicError("no such type");
}

// What arithmetic on T is done in.
template <class T>
struct Wide {
  using type = T;
};
template <>
struct Wide<BFloat16> {
  using type = float;
};
template <>
struct Wide<Float16> {
  using type = float;
};
template <class T>
using wide = typename Wide<T>::type;

// Three loops, because the compiler vectorizes only where it can tell that arrays are either one
// and the same or do not overlap.
template <class T, class F>
void map(T* out, const T* a, const T* b, std::size_t n, F f) {
  if (out == a) {
    for (std::size_t i = 0; i < n; ++i)
      out[i] = static_cast<T>(f(wide<T>(out[i]), wide<T>(b[i])));
  } else if (out == b) {
    for (std::size_t i = 0; i < n; ++i)
      out[i] = static_cast<T>(f(wide<T>(a[i]), wide<T>(out[i])));
  } else {
    for (std::size_t i = 0; i < n; ++i)
      out[i] = static_cast<T>(f(wide<T>(a[i]), wide<T>(b[i])));
  }
}

template <class T>
void combine_as(T* out, const T* a, const T* b, std::size_t n, ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
    case ReduceOp::average:
      return map(out, a, b, n, std::plus<>{});
    case ReduceOp::product:
      return map(out, a, b, n, std::multiplies<>{});
    case ReduceOp::min:
      return map(out, a, b, n, [](wide<T> x, wide<T> y) { return y < x ? y : x; });
    case ReduceOp::max:
      return map(out, a, b, n, [](wide<T> x, wide<T> y) { return x < y ? y : x; });
  }
}

}  // namespace

void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op) {
  expect(out.count == a.count && a.count == b.count, "reduction of unequal counts");
  expect(out.dtype == a.dtype && a.dtype == b.dtype, "reduction of unequal types");
  with_type(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    combine_as(reinterpret_cast<T*>(out.data), reinterpret_cast<const T*>(a.data),
               reinterpret_cast<const T*>(b.data), out.count, op);
  });
}

void combine_all(std::span<const Elements> outs, std::span<const Elements> in, ReduceOp op) {
  constexpr std::size_t kPiece = 4096;  // bytes: a piece of the result stays in the first cache
  alignas(64) std::byte piece[kPiece];
  const DType dtype = in[0].dtype;
  const std::size_t most = kPiece / size_of(dtype);
  for (std::size_t at = 0; at < in[0].count; at += most) {
    const std::size_t n = std::min(most, in[0].count - at);
    const Elements sum{piece, n, dtype};
    std::memcpy(sum.data, in[0].subspan(at, n).data, sum.bytes());
    for (const Elements& more : in.subspan(1))
      combine(sum, sum, more.subspan(at, n), op);
    for (const Elements& out : outs)
      std::memcpy(out.subspan(at, n).data, sum.data, sum.bytes());
  }
}

void finish(const Elements& result, ReduceOp op, int contributions) {
  if (op != ReduceOp::average || contributions == 1) return;
  with_type(result.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* values = reinterpret_cast<T*>(result.data);
    for (std::size_t i = 0; i < result.count; ++i) {
      values[i] = static_cast<T>(wide<T>(values[i]) / static_cast<wide<T>>(contributions));
    }
  });
}

}  // namespace lockstep
