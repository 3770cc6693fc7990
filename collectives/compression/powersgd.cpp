// SPDX-License-Identifier: Apache-2.0
// Of each matrix M [m,n] only a product of rank r travels: one step of power iteration, which goes
// on from the last one's Q (warm start). What the product leaves out of M is added to the next
// contribution (error feedback). Vectors, and matrices that would not get smaller, travel as they
// are.
//
//   P = sum of M Q            all_reduce, [m,r]; its columns are made orthonormal
//   Q = sum of M^T P          all_reduce, [n,r]
//   result P Q^T, left for the next time M - P (M^T P)^T
//
//   bytes  2(p-1)/p * 4 (sum of r(m+n) + vectors)   sent per rank
//   exact  where the sum of all M has rank r or less
//
// T. Vogels, S. P. Karimireddy, M. Jaggi, "PowerSGD", NeurIPS 2019.
#include <algorithm>
#include <cmath>

#include "collectives/compression/table.hpp"
#include "runtime/base/philox.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

constexpr std::uint64_t kSeed = 1909;  // of first directions; the same on all ranks
constexpr double kNegligible = 1e-5;   // a column that others explain but for this share of it

// Where things lie: `p` in the message of P and of what is not compressed, `q` in that of Q. Both
// factors are stored by columns.
struct Matrix {
  std::int64_t begin, rows, columns, rank, p, q;
};
struct Plain {
  std::int64_t begin, count, p;
};
struct Layout {
  std::vector<Matrix> matrices{};
  std::vector<Plain> plain{};
  std::int64_t p_count = 0, q_count = 0;
};

Layout lay_out(const BucketParts& bucket, int rank) {
  Layout layout;
  for (const BucketParts::Part& part : bucket.parts) {
    const std::int64_t r = std::min<std::int64_t>({rank, part.rows, part.columns});
    if (r * (part.rows + part.columns) < part.count()) {
      layout.matrices.push_back(
          {part.begin, part.rows, part.columns, r, layout.p_count, layout.q_count});
      layout.p_count += r * part.rows;
      layout.q_count += r * part.columns;
    } else {
      layout.plain.push_back({part.begin, part.count(), layout.p_count});
      layout.p_count += part.count();
    }
  }
  return layout;
}

// In sixteen partial sums, which the compiler keeps in vectors: the same bits everywhere.
float dot(const float* a, const float* b, std::int64_t n) {
  constexpr std::int64_t kLanes = 16;
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t l = 0; l < kLanes; ++l)
      lanes[l] += a[i + l] * b[i + l];
  }
  float sum = 0;
  for (; i < n; ++i)
    sum += a[i] * b[i];
  for (const float lane : lanes)
    sum += lane;
  return sum;
}

void add_scaled(float* y, float scale, const float* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    y[i] += scale * x[i];
}

double norm(const float* x, std::int64_t n) {
  double squares = 0;
  for (std::int64_t i = 0; i < n; ++i)
    squares += double{x[i]} * x[i];
  return std::sqrt(squares);
}

// Gram-Schmidt, twice: orthogonal to rounding error. A column that depends on those before it
// becomes zero instead of amplified noise.
void orthonormalize(float* columns, std::int64_t rank, std::int64_t rows) {
  for (std::int64_t k = 0; k < rank; ++k) {
    float* const column = columns + k * rows;
    const double before = norm(column, rows);
    for (std::int64_t j = 0; j < 2 * k; ++j) {
      const float* const other = columns + (j % k) * rows;
      add_scaled(column, -dot(column, other, rows), other, rows);
    }
    const double left = norm(column, rows);
    const bool depends = left <= kNegligible * before;  // NaN does not: it is to be seen
    const auto scale = static_cast<float>(depends ? 0 : 1 / left);
    for (std::int64_t i = 0; i < rows; ++i)
      column[i] *= scale;
  }
}

// The buffers of one bucket. A copy is the same buffers: each step of the queue owns one.
struct Buffers {
  std::shared_ptr<const Layout> layout;
  Tensor waiting;  // [count of the bucket] M: the contribution and what was left before
  Tensor p, q;

  // M += contribution, P = M Q.
  void project(Tensor& bucket) {
    for (const Matrix& m : layout->matrices) {
      for (std::int64_t i = 0; i < m.rows; ++i) {
        float* const row = waiting.data() + m.begin + i * m.columns;
        add_scaled(row, 1, bucket.data() + m.begin + i * m.columns, m.columns);
        for (std::int64_t k = 0; k < m.rank; ++k)
          p_of(m, k)[i] = dot(row, q_of(m, k), m.columns);
      }
    }
    for (const Plain& v : layout->plain)
      std::copy_n(bucket.data() + v.begin, v.count, p.data() + v.p);
  }

  // Q = M^T P, M -= P Q^T.
  void project_back() {
    std::fill_n(q.data(), q.count(), 0.0f);
    for (const Matrix& m : layout->matrices) {
      orthonormalize(p_of(m, 0), m.rank, m.rows);
      for_each_element(m, [&](std::int64_t i, std::int64_t k, float* row) {
        add_scaled(q_of(m, k), p_of(m, k)[i], row, m.columns);
      });
      for_each_element(m, [&](std::int64_t i, std::int64_t k, float* row) {
        add_scaled(row, -p_of(m, k)[i], q_of(m, k), m.columns);
      });
    }
    // An infinite rest would stay for ever: it is forgotten.
    for (float& rest : waiting.values())
      rest = std::isfinite(rest) ? rest : 0.0f;
  }

  // The bucket is P Q^T.
  void multiply(Tensor& bucket) {
    for (const Matrix& m : layout->matrices) {
      std::fill_n(bucket.data() + m.begin, m.rows * m.columns, 0.0f);
      for (std::int64_t i = 0; i < m.rows; ++i) {
        for (std::int64_t k = 0; k < m.rank; ++k)
          add_scaled(bucket.data() + m.begin + i * m.columns, p_of(m, k)[i], q_of(m, k), m.columns);
      }
      for (std::int64_t k = 0; k < m.rank; ++k)
        restart_if_lost(q_of(m, k), m.columns);
    }
    for (const Plain& v : layout->plain)
      std::copy_n(p.data() + v.p, v.count, bucket.data() + v.begin);
  }

 private:
  float* p_of(const Matrix& m, std::int64_t k) { return p.data() + m.p + k * m.rows; }
  float* q_of(const Matrix& m, std::int64_t k) { return q.data() + m.q + k * m.columns; }

  // body(i, k, row i of M) for every element of P.
  template <class Body>
  void for_each_element(const Matrix& m, Body&& body) {
    for (std::int64_t i = 0; i < m.rows; ++i) {
      for (std::int64_t k = 0; k < m.rank; ++k)
        body(i, k, waiting.data() + m.begin + i * m.columns);
    }
  }

  // A direction that has become nothing would find nothing again.
  void restart_if_lost(float* column, std::int64_t n) {
    const double length = norm(column, n);
    if (length > 0 && std::isfinite(length)) return;
    const auto first = static_cast<std::uint64_t>(column - q.data());
    for (std::int64_t i = 0; i < n; ++i) {
      column[i] = 2 * uniform01(philox(kSeed, first + static_cast<std::uint64_t>(i)).word[0]) - 1;
    }
  }
};

class PowerSgd : public Compression {
 public:
  PowerSgd(const Communicator& group, Device& device, const BucketParts& parts, int rank) {
    const auto layout = std::make_shared<const Layout>(lay_out(parts, rank));
    buffers_ = {.layout = layout,
                .waiting = Tensor::empty(device, {parts.count}),
                .p = shared(group, device, layout->p_count),
                .q = shared(group, device, layout->q_count)};
    kernels::fill(buffers_.waiting, 0.0f, device.compute());
    kernels::fill_normal(buffers_.q, 1.0f, kSeed, device.compute());
  }

  Work all_reduce(const Communicator& group, Tensor& bucket) override {
    expect(bucket.count() == buffers_.waiting.count(), "another bucket");
    const auto floats = static_cast<double>(bucket.bytes());
    const auto p = static_cast<double>(buffers_.p.bytes()),
               q = static_cast<double>(buffers_.q.bytes());
    in_order(group.run("project", bucket.count(), 2 * floats + q, floats + p,
                       [b = buffers_, bucket]() mutable { b.project(bucket); }));
    in_order(group.all_reduce(buffers_.p, ReduceOp::sum));
    in_order(group.run("project_back", bucket.count(), 2 * floats + p, floats + p + q,
                       [b = buffers_]() mutable { b.project_back(); }));
    in_order(group.all_reduce(buffers_.q, ReduceOp::sum));
    return group.run("multiply_factors", bucket.count(), p + q, floats,
                     [b = buffers_, bucket]() mutable { b.multiply(bucket); });
  }

  std::vector<Tensor> kept() const override { return {buffers_.waiting, buffers_.q}; }

 private:
  static Tensor shared(const Communicator& group, Device& device, std::int64_t count) {
    const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
    return Tensor::over(device, group.allocate(bytes), {count});
  }

  Buffers buffers_;
};

std::unique_ptr<Compression> make(const Communicator& group, Device& device,
                                  const BucketParts& parts, const CompressionOptions& options) {
  return std::make_unique<PowerSgd>(group, device, parts, options.rank);
}

double bytes_sent(int ranks, const BucketParts& parts, const CompressionOptions& options) {
  const Layout layout = lay_out(parts, options.rank);
  return 2.0 * (ranks - 1) / ranks * sizeof(float) *
         static_cast<double>(layout.p_count + layout.q_count);
}

}  // namespace

extern const CompressionMethod compression_powersgd{"powersgd", make, bytes_sent};

}  // namespace lockstep
