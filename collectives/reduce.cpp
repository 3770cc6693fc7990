// SPDX-License-Identifier: Apache-2.0
#include "collectives/reduce.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <type_traits>

#include "runtime/base/error.hpp"
#include "runtime/base/with_type.hpp"

namespace lockstep {

namespace {

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

// Beyond it the vectors are in no cache, and string moves into the other outputs, which need not
// fetch a line before they write it, are faster than stores: by a tenth at 64 MiB, and slower
// below.
constexpr std::size_t kCached = std::size_t{6} << 20;

// Element-wise arithmetic of one type; `f` combines two wide values. Outputs are either one of the
// inputs or apart from all of them, which the compiler cannot know: hence `omp simd`.
template <class T, class F>
class Loops {
 public:
  using W = wide<T>;

  static void combine(T* out, const T* a, const T* b, std::size_t n, F f) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i)
      out[i] = static_cast<T>(f(W(a[i]), W(b[i])));
  }

  // A piece of the result is kept in the first cache, and goes to two outputs at a time.
  static void combine_all(std::span<const Elements> outs, std::span<const Elements> in, F f) {
    constexpr std::size_t kPiece = 4096 / sizeof(W);
    alignas(64) W sum[kPiece];
    const bool large = in[0].bytes() * in.size() > kCached;
    for (std::size_t at = 0; at < in[0].count; at += kPiece) {
      const std::size_t n = std::min(kPiece, in[0].count - at);
      const auto input = [&](std::size_t r) { return reinterpret_cast<const T*>(in[r].data) + at; };
      T* out = reinterpret_cast<T*>(outs[0].data) + at;
      const bool twins = outs.size() > 1 && !large;
      T* twin = twins ? reinterpret_cast<T*>(outs[1].data) + at : out;
      const T* last = input(in.size() - 1);
      if (in.size() == 1) {
        store(out, twin, n, [=](std::size_t i) { return W(last[i]); });
      } else if (in.size() == 2) {
        const T* first = input(0);
        store(out, twin, n, [=](std::size_t i) { return f(W(first[i]), W(last[i])); });
      } else {
        begin(sum, input(0), input(1), n, f);
        for (std::size_t r = 2; r + 1 < in.size(); ++r)
          add(sum, input(r), n, f);
        store(out, twin, n, [&](std::size_t i) { return f(sum[i], W(last[i])); });
      }
      for (std::size_t k = 1; large && k < outs.size(); ++k)
        std::memcpy(reinterpret_cast<T*>(outs[k].data) + at, out, n * sizeof(T));
      for (std::size_t k = 2; !large && k < outs.size(); k += 2) {
        T* next = reinterpret_cast<T*>(outs[k].data) + at;
        T* after = k + 1 < outs.size() ? reinterpret_cast<T*>(outs[k + 1].data) + at : next;
        copy(next, after, out, n);
      }
    }
  }

 private:
  static void begin(W* sum, const T* a, const T* b, std::size_t n, F f) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i)
      sum[i] = f(W(a[i]), W(b[i]));
  }
  static void add(W* sum, const T* more, std::size_t n, F f) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i)
      sum[i] = f(sum[i], W(more[i]));
  }
  template <class Value>
  static void store(T* out, T* twin, std::size_t n, Value value) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      const T x = static_cast<T>(value(i));
      out[i] = x;
      twin[i] = x;
    }
  }
  static void copy(T* out, T* twin, const T* from, std::size_t n) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      const T x = from[i];
      out[i] = x;
      twin[i] = x;
    }
  }
};

// Calls `use` with the loops of (type, operation) and the operation itself.
template <class T, class Use>
void with_operation(ReduceOp op, Use use) {
  const auto call = [&](auto f) { use(T{}, f); };
  switch (op) {
    case ReduceOp::sum:
    case ReduceOp::average:
      return call(std::plus<>{});
    case ReduceOp::product:
      return call(std::multiplies<>{});
    case ReduceOp::min:
      return call([](wide<T> x, wide<T> y) { return y < x ? y : x; });
    case ReduceOp::max:
      return call([](wide<T> x, wide<T> y) { return x < y ? y : x; });
  }
}

}  // namespace

void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op) {
  expect(out.count == a.count && a.count == b.count, "reduction of unequal counts");
  expect(out.dtype == a.dtype && a.dtype == b.dtype, "reduction of unequal types");
  with_type(out.dtype, [&](auto zero) {
    with_operation<decltype(zero)>(op, [&]<class T, class F>(T, F f) {
      Loops<T, F>::combine(reinterpret_cast<T*>(out.data), reinterpret_cast<const T*>(a.data),
                           reinterpret_cast<const T*>(b.data), out.count, f);
    });
  });
}

void combine_all(std::span<const Elements> outs, std::span<const Elements> in, ReduceOp op) {
  const auto alike = [&](const Elements& e) {
    return e.count == in[0].count && e.dtype == in[0].dtype;
  };
  expect(std::all_of(outs.begin(), outs.end(), alike) && std::all_of(in.begin(), in.end(), alike),
         "reduction of unequal counts or types");
  with_type(in[0].dtype, [&](auto zero) {
    with_operation<decltype(zero)>(
        op, [&]<class T, class F>(T, F f) { Loops<T, F>::combine_all(outs, in, f); });
  });
}

void finish(const Elements& result, ReduceOp op, int contributions) {
  if (op != ReduceOp::average || contributions == 1) return;
  with_type(result.dtype, [&](auto zero) {
    using T = decltype(zero);
    // Of integers in 64 bits: more ranks than a byte counts divide, too.
    using Divisor = std::conditional_t<std::is_integral_v<T>, std::int64_t, wide<T>>;
    T* values = reinterpret_cast<T*>(result.data);
    for (std::size_t i = 0; i < result.count; ++i) {
      values[i] = static_cast<T>(wide<T>(values[i]) / static_cast<Divisor>(contributions));
    }
  });
}

}  // namespace lockstep
