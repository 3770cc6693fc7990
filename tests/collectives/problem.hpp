// SPDX-License-Identifier: Apache-2.0
// One collective operation with known answer: what each rank brings, and what it must get. The one
// oracle of all collectives, for algorithms, backends and communicators alike.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "collectives/call.hpp"
#include "runtime/base/with_type.hpp"

namespace lockstep::test {

enum class Place : std::uint8_t { apart, in_place };

struct Problem {
  Collective what = Collective::all_reduce;
  int ranks = 1;
  Blocks blocks;
  DType dtype = DType::float32;
  ReduceOp op = ReduceOp::sum;
  int root = 0;
  Place place = Place::apart;

  std::size_t count() const { return blocks.total(); }
  std::string text() const;
};

inline constexpr Collective kCollectives[] = {
    Collective::all_reduce, Collective::reduce_scatter, Collective::all_gather,
    Collective::broadcast,  Collective::reduce,         Collective::all_to_all,
    Collective::gather,     Collective::scatter,        Collective::barrier};
inline constexpr DType kDTypes[] = {DType::float32, DType::float64, DType::bfloat16, DType::float16,
                                    DType::int32,   DType::int64,   DType::uint8};
inline constexpr ReduceOp kReduceOps[] = {ReduceOp::sum, ReduceOp::product, ReduceOp::min,
                                          ReduceOp::max, ReduceOp::average};

inline bool reduces(Collective what) {
  return what == Collective::all_reduce || what == Collective::reduce_scatter ||
         what == Collective::reduce;
}
inline bool has_root(Collective what) {
  return what == Collective::broadcast || what == Collective::reduce ||
         what == Collective::gather || what == Collective::scatter;
}

inline std::string Problem::text() const {
  return std::string(name_of(what)) + " of " + std::to_string(count()) + " x " + name_of(dtype) +
         ", " + name_of(op) + ", " + std::to_string(ranks) + " ranks, root " +
         std::to_string(root) + (place == Place::in_place ? ", in place" : "");
}

namespace detail {

// What rank r brings at index i: small integers, so that sums and products of any order are exact.
// Products are of at most seven twos (threes in wide types).
inline std::int64_t brought(int r, std::size_t i, DType dtype) {
  const auto k = static_cast<std::size_t>(r) * 7 + i * 5 + i / 3;
  const bool narrow = size_of(dtype) <= 2;
  return 1 + static_cast<std::int64_t>(r < 7 ? k % (narrow ? 2 : 3) : 0);
}

inline std::int64_t reduced(int ranks, std::size_t i, DType dtype, ReduceOp op) {
  std::int64_t total = brought(0, i, dtype);
  for (int r = 1; r < ranks; ++r) {
    const std::int64_t x = brought(r, i, dtype);
    if (op == ReduceOp::sum || op == ReduceOp::average) total += x;
    if (op == ReduceOp::product) total *= x;
    if (op == ReduceOp::min) total = std::min(total, x);
    if (op == ReduceOp::max) total = std::max(total, x);
  }
  return total;
}

}  // namespace detail

// The buffers of one rank: what it brings and what it must hold afterwards.
class Side {
 public:
  Side(const Problem& problem, int rank) : problem_(problem), rank_(rank) {
    const Block own = problem.blocks[rank];
    const std::size_t n = problem.count();
    const bool at_root = !has_root(problem.what) || rank == problem.root;
    const Collective what = problem.what;
    const bool in_is_block = what == Collective::all_gather || what == Collective::gather;
    const bool out_is_block = what == Collective::reduce_scatter || what == Collective::scatter;
    const bool barrier = what == Collective::barrier;
    in_ = (what == Collective::scatter && !at_root) || barrier ? Block{0, 0}
          : in_is_block                                        ? own
                                                               : Block{0, n};
    const bool no_out =
        barrier || ((what == Collective::reduce || what == Collective::gather) && !at_root);
    out_ = no_out ? Block{0, 0} : out_is_block ? own : Block{0, n};
    resize();
  }

  std::size_t in_bytes() const { return in_.count * size_of(problem_.dtype); }
  std::size_t out_bytes() const { return out_.count * size_of(problem_.dtype); }
  // Buffers of the caller's, of these sizes: the larger of the two where the problem is in place.
  bool shares() const { return shares_; }

  // Fills the input and returns the call on own buffers, or on those given.
  Call call() { return call(own_in_.data(), shares_ ? nullptr : own_out_.data()); }
  Call call(std::byte* in_memory, std::byte* out_memory) {
    std::byte *in = in_memory, *out = out_memory;
    if (shares_) {
      const std::size_t size = size_of(problem_.dtype);
      const bool in_first = in_.count >= out_.count;
      in = in_memory + (in_first ? 0 : in_.begin * size);
      out = in_memory + (in_first ? out_.begin * size : 0);
    }
    in_elements_ = {in, in_.count, problem_.dtype};
    out_elements_ = {out, out_.count, problem_.dtype};
    if (!shares_) std::memset(out, 0xee, out_bytes());
    with_type(problem_.dtype, [&](auto zero) {
      using T = decltype(zero);
      for (std::size_t i = 0; i < in_.count; ++i) {
        reinterpret_cast<T*>(in)[i] = value<T>(brought(rank_, in_.begin + i));
      }
      return 0;
    });
    return {.what = problem_.what,
            .out = out_elements_,
            .in = in_elements_,
            .dtype = problem_.dtype,
            .blocks = problem_.blocks,
            .op = problem_.op,
            .root = problem_.root};
  }

  // Empty, or what is wrong first. Call it after finish() where the operation is an average.
  std::string mistake() const {
    return with_type(problem_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const T* out = reinterpret_cast<const T*>(out_elements_.data);
      const T* in = reinterpret_cast<const T*>(in_elements_.data);
      for (std::size_t i = 0; i < out_.count; ++i) {
        if (!(out[i] == expected<T>(i))) return at("result", i);
      }
      for (std::size_t i = 0; !shares_ && i < in_.count; ++i) {
        if (!(in[i] == value<T>(brought(rank_, in_.begin + i)))) return at("changed input", i);
      }
      return std::string();
    });
  }

 private:
  void resize() {
    shares_ = problem_.place == Place::in_place && problem_.what != Collective::all_to_all &&
              in_.count > 0 && out_.count > 0;
    // A broadcast has one buffer always.
    shares_ = shares_ || problem_.what == Collective::broadcast;
    const std::size_t both = std::max(in_bytes(), out_bytes());
    own_in_.resize(std::max<std::size_t>(shares_ ? both : in_bytes(), 1));
    own_out_.resize(std::max<std::size_t>(out_bytes(), 1));
  }

  std::int64_t brought(int r, std::size_t i) const { return detail::brought(r, i, problem_.dtype); }

  template <class T>
  static T value(std::int64_t x) {
    if constexpr (sizeof(T) == 2) {
      return T(static_cast<float>(x));
    } else {
      return static_cast<T>(x);
    }
  }

  // What must lie at index i of the output.
  template <class T>
  T expected(std::size_t i) const {
    const std::size_t at = out_.begin + i;
    if (reduces(problem_.what)) {
      const std::int64_t total = detail::reduced(problem_.ranks, at, problem_.dtype, problem_.op);
      if (problem_.op != ReduceOp::average) return value<T>(total);
      if constexpr (sizeof(T) == 2)
        return T(static_cast<float>(total) / float(problem_.ranks));
      else
        return static_cast<T>(static_cast<T>(total) / static_cast<T>(problem_.ranks));
    }
    if (has_root(problem_.what) && problem_.what != Collective::gather) {
      return value<T>(brought(problem_.root, at));
    }
    if (problem_.what == Collective::all_to_all) {
      const std::size_t block = problem_.count() / static_cast<std::size_t>(problem_.ranks);
      const auto mine = static_cast<std::size_t>(rank_) * block;
      return value<T>(brought(static_cast<int>(at / block), mine + at % block));
    }
    return value<T>(brought(owner(at), at));
  }

  int owner(std::size_t at) const {
    int r = 0;
    while (problem_.blocks[r].begin + problem_.blocks[r].count <= at)
      ++r;
    return r;
  }

  std::string at(const char* what, std::size_t i) const {
    return std::string(what) + " of rank " + std::to_string(rank_) + " at " + std::to_string(i);
  }

  Problem problem_;
  int rank_;
  Block in_{}, out_{};
  bool shares_ = false;
  std::vector<std::byte> own_in_, own_out_;
  Elements in_elements_, out_elements_;
};

}  // namespace lockstep::test
