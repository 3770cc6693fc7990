// SPDX-License-Identifier: Apache-2.0
// One launch for all matrices of a bucket: a warp or a block finds what it works at in a table. The
// products are as narrow as a few columns: they read M at the speed of memory. Sums have a fixed
// order.
#include "runtime/base/philox.hpp"
#include "runtime/kernels/cuda_code.cuh"
#include "runtime/kernels/low_rank.hpp"
#include "runtime/kernels/low_rank_table.cuh"

namespace lockstep::kernels::cuda {

namespace {

constexpr int kColumns = 8;  // of a factor that a thread sums at a time
constexpr int kWarps = kThreads / kWarp;

__device__ std::int64_t thread_of_grid() {
  return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

// A warp takes a row: M += x, and its products with the columns of Q.
__global__ void project_kernel(Table<Matrix> table, float* p, float* matrices, const float* x,
                               const float* q, std::int64_t rows) {
  const std::int64_t row = thread_of_grid() / kWarp;
  if (row >= rows) return;
  const Matrix m = table.of(&Matrix::first_row, row);
  const std::int64_t i = row - m.first_row, lane = threadIdx.x % kWarp;
  float* const to = matrices + m.begin + i * m.columns;
  const float* const from = x + m.begin + i * m.columns;
  for (std::int64_t first = 0; first < m.rank; first += kColumns) {
    float sums[kColumns] = {};
    for (std::int64_t j = lane; j < m.columns; j += kWarp) {
      float v = to[j];
      if (first == 0) to[j] = v += from[j];
      for (int k = 0; k < kColumns; ++k) {
        if (first + k < m.rank) sums[k] += v * q[m.q + (first + k) * m.columns + j];
      }
    }
    for (int k = 0; k < kColumns; ++k) {
      const float sum = warp_sum(sums[k]);
      if (lane == 0 && first + k < m.rank) p[m.p + (first + k) * m.rows + i] = sum;
    }
  }
}

enum class Way { to_message, from_message };
template <Way way>
__global__ void copy_whole_kernel(Table<Whole> table, float* to, const float* from,
                                  std::int64_t n) {
  const std::int64_t at = thread_of_grid();
  if (at >= n) return;
  const Whole part = table.of(&Whole::first, at);
  const std::int64_t in_message = part.p + at - part.first,
                     in_vector = part.begin + at - part.first;
  if constexpr (way == Way::to_message)
    to[in_message] = from[in_vector];
  else
    to[in_vector] = from[in_message];
}

// Of a whole block, in float64; every thread gets it.
struct PartialSums {
  double of_warp[kWarp];
};
__device__ double total(double x) {
  x = block_sum(x, shared<PartialSums>().of_warp);
  __syncthreads();
  return x;
}
__device__ double norm(const float* x, std::int64_t n) {
  double squares = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x)
    squares += double{x[i]} * x[i];
  return sqrt(total(squares));
}

// A block takes a matrix, a large one, because embeddings have many rows; each of its threads takes
// the same rows of all columns.
constexpr int kThreadsOfMatrix = 1024;
__global__ void __launch_bounds__(kThreadsOfMatrix)
    orthonormalize_kernel(Table<Matrix> table, float* p) {
  const Matrix m = table.entries[blockIdx.x];
  for (std::int64_t k = 0; k < m.rank; ++k) {
    float* const column = p + m.p + k * m.rows;
    const double before = norm(column, m.rows);
    for (std::int64_t j = 0; j < 2 * k; ++j) {
      const float* const other = p + m.p + j % k * m.rows;
      float mine = 0;
      for (std::int64_t i = threadIdx.x; i < m.rows; i += kThreadsOfMatrix)
        mine += column[i] * other[i];
      const auto share = static_cast<float>(total(double{mine}));
      for (std::int64_t i = threadIdx.x; i < m.rows; i += kThreadsOfMatrix)
        column[i] -= share * other[i];
    }
    const double left = norm(column, m.rows);
    const auto scale = static_cast<float>(left <= kNegligible * before ? 0 : 1 / left);
    for (std::int64_t i = threadIdx.x; i < m.rows; i += kThreadsOfMatrix)
      column[i] *= scale;
  }
}

// A block takes 32 columns of M and a range of its rows, which its warps take by turns: its part of
// M^T P, as partial[range][k][column].
struct StripSums {
  float of_warp[kWarps][kColumns][kWarp];
};
__global__ void partial_back_kernel(Table<Matrix> table, float* partial, const float* p,
                                    const float* matrices) {
  auto& sums_of = shared<StripSums>().of_warp;
  const Matrix m = table.of(&Matrix::first_tile, blockIdx.x);
  const std::int64_t tile = blockIdx.x - m.first_tile, range = tile / m.strips();
  const std::int64_t begin = range * kRowsOfTile;
  const std::int64_t end = begin + kRowsOfTile < m.rows ? begin + kRowsOfTile : m.rows;
  const std::int64_t strip = tile % m.strips() * kWarp;
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const std::int64_t j = strip + lane;
  for (std::int64_t first = 0; first < m.rank; first += kColumns) {
    float sums[kColumns] = {};
    for (std::int64_t i = begin + warp; i < end && j < m.columns; i += kWarps) {
      const float v = matrices[m.begin + i * m.columns + j];
      for (int k = 0; k < kColumns; ++k) {
        if (first + k < m.rank) sums[k] += v * p[m.p + (first + k) * m.rows + i];
      }
    }
    for (int k = 0; k < kColumns; ++k)
      sums_of[warp][k][lane] = sums[k];
    __syncthreads();
    // Warp k adds up column first + k.
    const std::int64_t k = first + warp;
    if (k < m.rank && j < m.columns) {
      float sum = 0;
      for (int w = 0; w < kWarps; ++w)
        sum += sums_of[w][warp][lane];
      partial[m.partial + (range * m.rank + k) * m.columns + j] = sum;
    }
    __syncthreads();
  }
}
static_assert(kWarps == kColumns);

__global__ void add_ranges_kernel(Table<Matrix> table, float* q, const float* partial,
                                  std::int64_t n) {
  const std::int64_t at = thread_of_grid();
  if (at >= n) return;
  const Matrix m = table.of(&Matrix::q, at);
  float sum = 0;
  for (std::int64_t range = 0; range < m.ranges(); ++range)
    sum += partial[m.partial + range * m.rank * m.columns + at - m.q];
  q[at] = sum;
}

__device__ float product(const Matrix& m, const float* p, const float* q, std::int64_t i,
                         std::int64_t j) {
  float sum = 0;
  for (std::int64_t k = 0; k < m.rank; ++k)
    sum += p[m.p + k * m.rows + i] * q[m.q + k * m.columns + j];
  return sum;
}

__device__ bool finite(float x) {
  return (float_to_bits(x) & 0x7fffffffu) < 0x7f800000u;
}

// A warp takes a row: M -= P Q^T, or x = P Q^T.
enum class Product { subtracted, stored };
template <Product what>
__global__ void multiply_kernel(Table<Matrix> table, float* x, const float* p, const float* q,
                                std::int64_t rows) {
  const std::int64_t row = thread_of_grid() / kWarp;
  if (row >= rows) return;
  const Matrix m = table.of(&Matrix::first_row, row);
  const std::int64_t i = row - m.first_row;
  float* const to = x + m.begin + i * m.columns;
  for (std::int64_t j = threadIdx.x % kWarp; j < m.columns; j += kWarp) {
    const float v = product(m, p, q, i, j);
    if constexpr (what == Product::stored) {
      to[j] = v;
    } else {
      const float rest = to[j] - v;
      to[j] = finite(rest) ? rest : 0.0f;
    }
  }
}

// A block takes a column of Q.
__global__ void restart_kernel(Table<Matrix> table, float* q) {
  const Matrix m = table.of(&Matrix::first_column, blockIdx.x);
  const std::int64_t first = m.q + (blockIdx.x - m.first_column) * m.columns;
  const double length = norm(q + first, m.columns);
  if (length > 0 && length < INFINITY) return;
  for (std::int64_t i = threadIdx.x; i < m.columns; i += kThreads) {
    const auto at = static_cast<std::uint64_t>(first + i);
    q[first + i] = 2 * uniform01(philox(kDirectionSeed, at).word[0]) - 1;
  }
}

std::int64_t whole_count(const LowRank& of) {
  std::int64_t count = 0;
  for (const WholePart& part : of.layout.whole)
    count += part.count;
  return count;
}

Launch blocks(std::int64_t num) {
  return {dim3(static_cast<unsigned>(num)), kThreads};
}

}  // namespace

void fill_tables(LowRank& of, Device& device) {
  std::vector<Matrix> matrices;
  const Matrix end = end_of(of.layout.matrices, &matrices);
  std::vector<Whole> whole;
  std::int64_t first = 0;
  for (const WholePart& part : of.layout.whole) {
    whole.push_back({part.begin, part.count, part.p, first});
    first += part.count;
  }
  of.matrices = table_of(device, matrices);
  of.whole = table_of(device, whole);
  of.partial = Tensor::empty(device, {end.partial});
}

void project(Tensor& p, Tensor& m, const Tensor& x, const Tensor& q, const LowRank& of,
             Stream& stream) {
  const std::int64_t rows = end_of(of.layout.matrices, nullptr).first_row;
  launch(project_kernel, {blocks_of(rows * kWarp), kThreads}, stream, Table<Matrix>(of.matrices),
         p.data(), m.data(), x.data(), q.data(), rows);
  const std::int64_t n = whole_count(of);
  launch(copy_whole_kernel<Way::to_message>, {blocks_of(n), kThreads}, stream,
         Table<Whole>(of.whole), p.data(), x.data(), n);
}

void project_back(Tensor& q, Tensor& p, Tensor& m, const LowRank& of, Stream& stream) {
  const Matrix end = end_of(of.layout.matrices, nullptr);
  const Table<Matrix> table(of.matrices);
  float* const partial = reinterpret_cast<float*>(of.partial.raw());
  launch(orthonormalize_kernel, {dim3(static_cast<unsigned>(table.num)), kThreadsOfMatrix}, stream,
         table, p.data());
  launch(partial_back_kernel, blocks(end.first_tile), stream, table, partial, p.data(), m.data());
  launch(add_ranges_kernel, {blocks_of(q.count()), kThreads}, stream, table, q.data(), partial,
         q.count());
  launch(multiply_kernel<Product::subtracted>, {blocks_of(end.first_row * kWarp), kThreads}, stream,
         table, m.data(), p.data(), q.data(), end.first_row);
}

void multiply_factors(Tensor& x, Tensor& q, const Tensor& p, const LowRank& of, Stream& stream) {
  const Matrix end = end_of(of.layout.matrices, nullptr);
  const Table<Matrix> table(of.matrices);
  launch(multiply_kernel<Product::stored>, {blocks_of(end.first_row * kWarp), kThreads}, stream,
         table, x.data(), p.data(), q.data(), end.first_row);
  const std::int64_t n = whole_count(of);
  launch(copy_whole_kernel<Way::from_message>, {blocks_of(n), kThreads}, stream,
         Table<Whole>(of.whole), x.data(), p.data(), n);
  launch(restart_kernel, blocks(end.first_column), stream, table, q.data());
}

}  // namespace lockstep::kernels::cuda
