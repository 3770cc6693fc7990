// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/attention.hpp"

#include <cmath>

#include "runtime/device/run_on.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/math.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

namespace {

constexpr std::int64_t kQueries = 64;  // rows of scores at a time: 64 x 256 floats stay in L2

Operation attention_cost(AttentionPass pass, const AttentionShape& s, const Tensor& qkv,
                         const DropoutMask& mask) {
  const bool forward = pass == AttentionPass::forward;
  const double tokens = static_cast<double>(s.batch) * s.tokens, products = forward ? 2 : 4;
  return {.name = forward ? "attention_forward" : "attention_backward",
          .kind = OperationKind::attention,
          .shape = {s.batch, s.tokens, s.heads, s.head_dim},
          .flops = products * 2 * tokens * s.tokens * s.channels(),
          .bytes_read = products * 2 * tokens * s.channels(),
          .bytes_written = products * 2 * tokens * s.channels(),
          .dtype = qkv.dtype(),
          .detail = asks_library(pass, qkv, mask) ? "library" : ""};
}

// One query head of one sample: where its matrices lie in the packed tensors.
struct Head {
  std::int64_t T, D, stride, C;   // stride of q, k, v rows; C of o rows
  std::int64_t q, k, v, out;      // offsets of q[0], k[0], v[0] and o[0]
  std::int64_t log_sums, masked;  // b H + h; that among the heads of all ranks
  float scale;

  Head(const AttentionShape& s, std::int64_t b, std::int64_t h)
      : T(s.tokens),
        D(s.head_dim),
        stride(s.packed()),
        C(s.channels()),
        q(b * T * stride + h * D),
        k(b * T * stride + C + h / (s.heads / s.kv_heads) * D),
        v(k + s.kv_heads * D),
        out(b * T * C + h * D),
        log_sums((b * s.heads + h) * T),
        masked(b * s.mask_heads + s.first_head + h),
        scale(1.0f / std::sqrt(static_cast<float>(D))) {}
};

// A block of queries [first, first + rows) and the keys [0, keys) that they may see.
struct Block {
  std::int64_t first, rows, keys;
};

Block block_at(std::int64_t b, std::int64_t T) {
  const std::int64_t first = b * kQueries, rows = std::min(kQueries, T - first);
  return {first, rows, first + rows};
}

// scores[rows,keys] = scale Q K^T
void score(float* scores, const Block& block, const Head& head, const float* q, const float* k) {
  host_gemm({scores, block.keys}, {q + block.first * head.stride, head.stride},
            {k, head.stride, Trans::yes}, block.rows, block.keys, head.D, head.scale);
}

// One row of scores to probabilities in place; keys from `visible` on get none. Returns log(sum).
float softmax_row(float* row, std::int64_t visible, std::int64_t keys) {
  float largest = row[0], sum = 0;
#pragma omp simd reduction(max : largest)
  for (std::int64_t j = 0; j < visible; ++j)
    largest = row[j] > largest ? row[j] : largest;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < visible; ++j) {
    row[j] = exponential(row[j] - largest);
    sum += row[j];
  }
  const float norm = 1.0f / sum;
#pragma omp simd
  for (std::int64_t j = 0; j < visible; ++j)
    row[j] *= norm;
  std::fill(row + visible, row + keys, 0.0f);
  return largest + std::log(sum);
}

// The dropout factors of one row of probabilities, applied to `row`.
void drop_row(float* row, std::int64_t query, std::int64_t visible, const Head& head,
              DropoutMask mask) {
  if (mask.share == 0) return;
  mask.first += static_cast<std::uint64_t>((head.masked * head.T + query) * head.T);
  apply_dropout(row, visible, mask);
}

void forward_head(float* o, float* log_sums, const float* qkv, const Head& head,
                  const DropoutMask& mask, float* scores) {
  const std::int64_t C = head.C;
  for (std::int64_t b = 0; b * kQueries < head.T; ++b) {
    const Block block = block_at(b, head.T);
    score(scores, block, head, qkv + head.q, qkv + head.k);
    for (std::int64_t r = 0; r < block.rows; ++r) {
      const std::int64_t query = block.first + r;
      float* row = scores + r * block.keys;
      log_sums[head.log_sums + query] = softmax_row(row, query + 1, block.keys);
      drop_row(row, query, query + 1, head, mask);
    }
    host_gemm({o + head.out + block.first * C, C}, {scores, block.keys},
              {qkv + head.v, head.stride}, block.rows, head.D, block.keys);
  }
}

float dot(const float* a, const float* b, std::int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i)
    sum += a[i] * b[i];
  return sum;
}

// row[j] = P_j from its score and the row's log(sum); zero from `visible` on.
void probabilities(float* row, float log_sum, std::int64_t visible, std::int64_t keys) {
#pragma omp simd
  for (std::int64_t j = 0; j < visible; ++j)
    row[j] = exponential(row[j] - log_sum);
  std::fill(row + visible, row + keys, 0.0f);
}

// What backward reads and writes: the whole packed tensors.
struct Backward {
  float* dqkv;
  const float *d_o, *o, *log_sums, *qkv;
  DropoutMask mask;
};

// Scores p become the probabilities that forward used, dP becomes dS = P (dP - D).
void score_gradients(float* p, float* ds, const Block& block, const Head& head, const Backward& t) {
  for (std::int64_t r = 0; r < block.rows; ++r) {
    const std::int64_t query = block.first + r, at = head.out + query * head.C;
    float *row = p + r * block.keys, *drow = ds + r * block.keys;
    const float delta = dot(t.d_o + at, t.o + at, head.D);
    probabilities(row, t.log_sums[head.log_sums + query], query + 1, block.keys);
    drop_row(drow, query, query + 1, head, t.mask);
#pragma omp simd
    for (std::int64_t j = 0; j < block.keys; ++j)
      drow[j] = row[j] * (drow[j] - delta);
    drop_row(row, query, query + 1, head, t.mask);
  }
}

// `into` says what becomes of dK and dV.
void backward_block(const Block& block, const Head& head, const Backward& t, Into into, float* p,
                    float* ds) {
  const std::int64_t first = block.first * head.stride;
  const float *q = t.qkv + head.q, *k = t.qkv + head.k, *v = t.qkv + head.v;
  float *dq = t.dqkv + head.q, *dk = t.dqkv + head.k, *dv = t.dqkv + head.v;
  const float* d_o = t.d_o + head.out + block.first * head.C;

  score(p, block, head, q, k);
  host_gemm({ds, block.keys}, {d_o, head.C}, {v, head.stride, Trans::yes}, block.rows, block.keys,
            head.D);  // dP = dO V^T
  score_gradients(p, ds, block, head, t);
  host_gemm({dv, head.stride, into}, {p, block.keys, Trans::yes}, {d_o, head.C}, block.keys, head.D,
            block.rows);
  host_gemm({dq + first, head.stride}, {ds, block.keys}, {k, head.stride}, block.rows, head.D,
            block.keys, head.scale);
  host_gemm({dk, head.stride, into}, {ds, block.keys, Trans::yes}, {q + first, head.stride},
            block.keys, head.D, block.rows, head.scale);
}

// The query heads that share key head `kv`. The first head's last block sees all keys, so it
// overwrites dK and dV; all others, after it, add.
void backward_group(const AttentionShape& s, std::int64_t b, std::int64_t kv, const Backward& t,
                    float* p, float* ds) {
  const std::int64_t group = s.heads / s.kv_heads, last = (s.tokens - 1) / kQueries;
  for (std::int64_t h = kv * group; h < (kv + 1) * group; ++h) {
    const Head head(s, b, h);
    for (std::int64_t i = last; i >= 0; --i) {
      const bool opens = h == kv * group && i == last;
      const Into into = opens ? Into::overwrite : Into::accumulate;
      backward_block(block_at(i, s.tokens), head, t, into, p, ds);
    }
  }
}

// For each thread of `tasks` two blocks of scores, [2,64,T]; a GPU keeps scores in registers.
Tensor scratch_for(Device& device, std::int64_t tasks, std::int64_t T) {
  if (device.kind() == DeviceKind::cuda) return {};
  const MemoryScope scope(device, MemoryUse::buffers);
  return Tensor::empty(device, {num_threads_for(tasks, 1), 2 * kQueries * T});
}

// body(b, h, its thread's scratch) for every sample and each of so many heads.
template <class Body>
void for_each_head(std::int64_t batch, std::int64_t heads, Tensor& scratch, Body&& body) {
  parallel_ranges(num_threads_for(batch * heads, 1), batch * heads,
                  [&](int thread, std::int64_t begin, std::int64_t end) {
                    float* mine = scratch.data() + thread * scratch.dim(1);
                    for (std::int64_t i = begin; i < end; ++i)
                      body(i / heads, i % heads, mine);
                  });
}

void check_shapes(const Tensor& qkv, const Tensor& o, const AttentionShape& s) {
  const std::int64_t rows = s.batch * s.tokens;
  expect(s.kv_heads > 0 && s.heads % s.kv_heads == 0, "attention: query heads in equal groups");
  expect(s.first_head >= 0 && s.first_head + s.heads <= s.mask_heads,
         "attention: the heads of this rank are not among all heads");
  expect(qkv.count() == rows * s.packed() && o.count() == rows * s.channels(), "attention: shapes");
}

}  // namespace

bool asks_library(AttentionPass pass, const Tensor& qkv, const DropoutMask& mask) {
  if (qkv.dtype() != DType::bfloat16 || mask.share > 0) return false;
  const AttentionBy by = qkv.device().numerics().attention;
  return pass == AttentionPass::forward ? by != AttentionBy::own : by == AttentionBy::library;
}

void attention_forward(Tensor& o, Tensor& log_sums, const Tensor& qkv, const AttentionShape& shape,
                       const DropoutMask& mask, Stream& stream) {
  check_shapes(qkv, o, shape);
  Tensor scratch = scratch_for(qkv.device(), shape.batch * shape.heads, shape.tokens);
  run_on(
      stream, attention_cost(AttentionPass::forward, shape, qkv, mask),
      [o, log_sums, qkv, shape, mask, scratch]() mutable {
        for_each_head(
            shape.batch, shape.heads, scratch, [&](std::int64_t b, std::int64_t h, float* scores) {
              forward_head(o.data(), log_sums.data(), qkv.data(), Head(shape, b, h), mask, scores);
            });
      },
      [&] { cuda::attention_forward(o, log_sums, qkv, shape, mask, stream); });
}

void attention_backward(Tensor& dqkv, const Tensor& d_o, const Tensor& o, const Tensor& log_sums,
                        const Tensor& qkv, const AttentionShape& shape, const DropoutMask& mask,
                        Stream& stream) {
  check_shapes(dqkv, d_o, shape);
  expect(dqkv.count() == qkv.count() && d_o.count() == o.count(), "attention_backward: shapes");
  Tensor scratch = scratch_for(qkv.device(), shape.batch * shape.kv_heads, shape.tokens);
  run_on(
      stream, attention_cost(AttentionPass::backward, shape, qkv, mask),
      [dqkv, d_o, o, log_sums, qkv, shape, mask, scratch]() mutable {
        const Backward tensors{dqkv.data(),     d_o.data(), o.data(),
                               log_sums.data(), qkv.data(), mask};
        for_each_head(shape.batch, shape.kv_heads, scratch,
                      [&](std::int64_t b, std::int64_t kv, float* scores) {
                        backward_group(shape, b, kv, tensors, scores,
                                       scores + kQueries * shape.tokens);
                      });
      },
      [&] { cuda::attention_backward(dqkv, d_o, o, log_sums, qkv, shape, mask, stream); });
}

}  // namespace lockstep::kernels
