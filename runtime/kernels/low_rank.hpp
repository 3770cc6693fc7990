// SPDX-License-Identifier: Apache-2.0
// The local steps of PowerSGD (collectives/compression/powersgd.cpp): matrices M [m,n] that lie in
// one vector, each as a product P Q^T of few columns, all of them in one pass.   2 r m n FLOPs each
// for P, for Q and for the product; M is read once for each.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

// Where things lie: M in the vector, `p` in the message of P and of what is not factored, `q` in
// that of Q. Row-major; both factors are stored by columns.
struct LowRankMatrix {
  std::int64_t begin, rows, columns, rank, p, q;
};
struct WholePart {
  std::int64_t begin, count, p;
};
struct LowRankLayout {
  std::vector<LowRankMatrix> matrices{};
  std::vector<WholePart> whole{};
  std::int64_t p_count = 0, q_count = 0;
};

// The layout where the kernels read it, and what they need besides.
struct LowRank {
  LowRankLayout layout;
  Tensor matrices{}, whole{}, partial{};  // of a GPU: tables, and sums of Q before they are added
};
std::shared_ptr<const LowRank> make_low_rank(Device& device, const LowRankLayout& layout);
using LowRankPointer = std::shared_ptr<const LowRank>;

// M += x, P = M Q; the other parts of x go to P as they are.
void project(Tensor& p, Tensor& m, const Tensor& x, const Tensor& q, const LowRankPointer& of,
             Stream& stream);

// The columns of P are made orthonormal: Gram-Schmidt, twice; one that depends on those before it
// becomes zero instead of amplified noise. Q = M^T P, M -= P Q^T; what is not finite of M then is
// zero, or it would stay for ever.
void project_back(Tensor& q, Tensor& p, Tensor& m, const LowRankPointer& of, Stream& stream);

// x = P Q^T, and the other parts. A column of Q that has become nothing, or is not finite, would
// find nothing again: it gets random numbers.
void multiply_factors(Tensor& x, Tensor& q, const Tensor& p, const LowRankPointer& of,
                      Stream& stream);

inline constexpr std::uint64_t kDirectionSeed = 1909;  // of columns of Q; the same on all ranks
inline constexpr double kNegligible = 1e-5;  // a column that others explain but for this share

// low_rank.cu
namespace cuda {
void fill_tables(LowRank& of, Device& device);
void project(Tensor& p, Tensor& m, const Tensor& x, const Tensor& q, const LowRank& of,
             Stream& stream);
void project_back(Tensor& q, Tensor& p, Tensor& m, const LowRank& of, Stream& stream);
void multiply_factors(Tensor& x, Tensor& q, const Tensor& p, const LowRank& of, Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
