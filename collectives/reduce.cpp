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

  // A piece of the result at a time, which stays in the first cache: up to four inputs at once go
  // into it, and then from it into up to four outputs. Two inputs need no piece.
  static void combine_all(std::span<const Elements> outs, std::span<const Elements> in, F f) {
    alignas(64) W sum[kPiece];
    const bool large = in[0].bytes() * in.size() > kCached;
    for (std::size_t at = 0; at < in[0].count; at += kPiece) {
      const std::size_t n = std::min(kPiece, in[0].count - at);
      const auto piece = [at](const Elements& e) { return reinterpret_cast<T*>(e.data) + at; };
      const auto at_once = large ? outs.first(1) : outs;
      if (in.size() == 2 && at_once.size() <= 2) {
        combine_pair(piece(at_once.front()), piece(at_once.back()), piece(in[0]), piece(in[1]), n,
                     f);
      } else {
        begin(sum, piece(in[0]), n);
        for_fours(in.subspan(1), piece, [&](auto... more) { add(sum, n, f, more...); });
        for_fours(at_once, piece, [&](auto... to) { store(sum, n, to...); });
      }
      for (const Elements& later : outs.subspan(at_once.size()))
        std::memcpy(piece(later), piece(outs[0]), n * sizeof(T));
    }
  }

 private:
  static constexpr std::size_t kPiece = 4096 / sizeof(W);

  // `use` with the pieces of four of them, of the next four, and of what is left.
  static void for_fours(std::span<const Elements> of, auto piece, auto use) {
    for (; of.size() >= 4; of = of.subspan(4))
      use(piece(of[0]), piece(of[1]), piece(of[2]), piece(of[3]));
    if (of.size() == 3) use(piece(of[0]), piece(of[1]), piece(of[2]));
    if (of.size() == 2) use(piece(of[0]), piece(of[1]));
    if (of.size() == 1) use(piece(of[0]));
  }

  static void combine_pair(T* out, T* twin, const T* a, const T* b, std::size_t n, F f) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      const T x = static_cast<T>(f(W(a[i]), W(b[i])));
      out[i] = x;
      twin[i] = x;
    }
  }
  static void begin(W* sum, const T* first, std::size_t n) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i)
      sum[i] = W(first[i]);
  }
  static void add(W* sum, std::size_t n, F f, auto... more) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      W x = sum[i];
      ((x = f(x, W(more[i]))), ...);
      sum[i] = x;
    }
  }
  static void store(const W* sum, std::size_t n, auto... to) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      const T x = static_cast<T>(sum[i]);
      ((to[i] = x), ...);
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
