// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/embedding.hpp"

#include <utility>

#include "runtime/device/run_on.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

namespace {

constexpr std::int64_t kRowsPerThread = 64;

// `of`: y or dy.
Operation lookup_cost(const char* name, const Tensor& of, double flops_each, double tables = 1) {
  const std::int64_t count = of.count();
  const double n = count, bytes = of.bytes();
  return {.name = name,
          .shape = {count},
          .flops = flops_each * n,
          .bytes_read = (1 + tables) * bytes,
          .bytes_written = bytes,
          .dtype = of.dtype()};
}

// The row of a token in a table of the tokens [first, first + rows); nullptr for others.
template <class Float>
Float* row_of(int token, Float* table, std::int64_t first, std::int64_t rows,
              std::int64_t channels) {
  const std::int64_t row = token - first;
  return row >= 0 && row < rows ? table + row * channels : nullptr;
}

// y = a + b, where nullptr is zero.
void sum_rows(float* y, const float* a, const float* b, std::int64_t channels) {
  if (!a) std::swap(a, b);
  if (!a) {
    std::fill(y, y + channels, 0.0f);
  } else if (!b) {
    std::copy(a, a + channels, y);
  } else {
    for (std::int64_t c = 0; c < channels; ++c)
      y[c] = a[c] + b[c];
  }
}

// y[begin, end) += x, unless y is nullptr.
void add_to_row(float* y, const float* x, std::int64_t begin, std::int64_t end) {
  if (!y) return;
  for (std::int64_t c = begin; c < end; ++c)
    y[c] += x[c];
}

// Threads own channels and walk all rows in order, so sums do not depend on the threads.
template <class Body>
void parallel_channels(std::int64_t channels, std::int64_t work, Body&& body) {
  parallel_ranges(num_threads_for(work, 65536), channels,
                  [&](int, std::int64_t begin, std::int64_t end) { body(begin, end); });
}

}  // namespace

void embedding_forward(Tensor& y, const Tensor& tokens, const Tensor& token_table,
                       const Tensor& position_table, std::int64_t first, Stream& stream) {
  const std::int64_t rows = tokens.count(), T = tokens.dim(-1), C = token_table.dim(1);
  expect(y.count() == rows * C, "embedding_forward: shapes");
  expect(!position_table || T <= position_table.dim(0),
         "embedding_forward: the sequence exceeds the positions");
  const auto cost = lookup_cost("embedding_forward", y, 1, position_table ? 1 : 0);
  run_on(
      stream, cost,
      [y, tokens, token_table, position_table, first, rows, T, C]() mutable {
        const float* table = token_table.data();
        const std::int64_t held = token_table.dim(0);
        parallel_ranges(
            num_threads_for(rows, kRowsPerThread), rows,
            [&](int, std::int64_t begin, std::int64_t end) {
              for (std::int64_t r = begin; r < end; ++r) {
                const float* word = row_of(tokens.data<int>()[r], table, first, held, C);
                const float* place = position_table ? position_table.data() + (r % T) * C : nullptr;
                sum_rows(y.data() + r * C, word, place, C);
              }
            });
      },
      [&] { cuda::embedding_forward(y, tokens, token_table, position_table, first, stream); });
}

void embedding_backward(Tensor& dtoken_table, Tensor& dposition_table, const Tensor& dy,
                        const Tensor& tokens, std::int64_t first, Stream& stream) {
  const std::int64_t rows = tokens.count(), T = tokens.dim(-1), C = dtoken_table.dim(1);
  expect(dy.count() == rows * C, "embedding_backward: shapes");
  const auto cost = lookup_cost("embedding_backward", dy, 2, dposition_table ? 1 : 0);
  run_on(
      stream, cost,
      [dtoken_table, dposition_table, dy, tokens, first, rows, T, C]() mutable {
        float* table = dtoken_table.data();
        const std::int64_t held = dtoken_table.dim(0);
        parallel_channels(C, rows * C, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t r = 0; r < rows; ++r) {
            const float* in = dy.data() + r * C;
            add_to_row(row_of(tokens.data<int>()[r], table, first, held, C), in, begin, end);
            if (dposition_table) add_to_row(dposition_table.data() + (r % T) * C, in, begin, end);
          }
        });
      },
      [&] { cuda::embedding_backward(dtoken_table, dposition_table, dy, tokens, first, stream); });
}

void window_embedding_forward(Tensor& y, const Tensor& tokens, const Tensor& table,
                              std::int64_t window, Stream& stream) {
  const std::int64_t rows = tokens.count(), T = tokens.dim(-1), C = table.dim(1);
  expect(y.count() == rows * window * C, "window_embedding_forward: shapes");
  run_on(
      stream, lookup_cost("window_embedding_forward", y, 0),
      [y, tokens, table, window, rows, T, C]() mutable {
        parallel_ranges(num_threads_for(rows, kRowsPerThread), rows,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          for (std::int64_t r = begin; r < end; ++r) {
                            for (std::int64_t w = 0; w < window; ++w) {
                              const std::int64_t back = window - 1 - w;
                              float* out = y.data() + (r * window + w) * C;
                              if (back > r % T) {
                                std::fill(out, out + C, 0.0f);
                              } else {
                                const float* word = table.data() + tokens.data<int>()[r - back] * C;
                                std::copy(word, word + C, out);
                              }
                            }
                          }
                        });
      },
      [&] { cuda::window_embedding_forward(y, tokens, table, window, stream); });
}

void window_embedding_backward(Tensor& dtable, const Tensor& dy, const Tensor& tokens,
                               std::int64_t window, Stream& stream) {
  const std::int64_t rows = tokens.count(), T = tokens.dim(-1), C = dtable.dim(1);
  expect(dy.count() == rows * window * C, "window_embedding_backward: shapes");
  run_on(
      stream, lookup_cost("window_embedding_backward", dy, 1),
      [dtable, dy, tokens, window, rows, T, C]() mutable {
        parallel_channels(C, rows * window * C, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t w = std::max<std::int64_t>(0, window - 1 - r % T); w < window; ++w) {
              const std::int64_t at = r - (window - 1 - w);
              float* word = dtable.data() + tokens.data<int>()[at] * C;
              const float* in = dy.data() + (r * window + w) * C;
              for (std::int64_t c = begin; c < end; ++c)
                word[c] += in[c];
            }
          }
        });
      },
      [&] { cuda::window_embedding_backward(dtable, dy, tokens, window, stream); });
}

}  // namespace lockstep::kernels
