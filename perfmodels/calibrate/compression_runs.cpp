// SPDX-License-Identifier: Apache-2.0
// The local steps of compressed sums (collectives/compression), on buckets of two ranks' gradients.
#include <vector>

#include "perfmodels/calibrate/filled.hpp"
#include "perfmodels/calibrate/kernel_runs.hpp"
#include "runtime/kernels/codes.hpp"
#include "runtime/kernels/low_rank.hpp"
#include "runtime/kernels/top_k.hpp"

namespace lockstep {

namespace {

using kernels::Code;

constexpr int kRanks = 2;
constexpr std::int64_t kTaken = 100;  // of so many elements one: the default share
constexpr std::int64_t kColumns = 512, kRank = 4;
constexpr std::uint64_t kKey = 1;

Tensor normal(Device& device, std::int64_t n) {
  Tensor t = wide(device, {n});
  kernels::fill_normal(t, 1e-2f, kKey, device.compute());
  return t;
}

// What int8 loses is kept.
struct Coded {
  kernels::CodedBlocks blocks;
  Tensor values, codes, sum, lost{}, sum_lost{};

  Coded(Device& d, std::int64_t n, Code code)
      : blocks{.code = code, .num = kRanks, .count = n, .block = (n + kRanks - 1) / kRanks},
        values(normal(d, n)) {
    const std::int64_t bytes = kernels::code_bytes(code, blocks.block);
    codes = Tensor::empty(d, {kRanks * bytes}, DType::uint8);
    sum = Tensor::empty(d, {bytes}, DType::uint8);
    if (code == Code::int8) lost = wide(d, {n});
    if (code == Code::int8) sum_lost = wide(d, {blocks.block});
    kernels::encode_blocks(codes, values, lost, blocks, d.compute());
  }
};
template <Code code>
Launch compress(Device& d, std::int64_t n) {
  return [t = Coded(d, n, code), &s = d.compute()]() mutable {
    kernels::encode_blocks(t.codes, t.values, t.lost, t.blocks, s);
  };
}
template <Code code>
Launch sum_compressed(Device& d, std::int64_t n) {
  return [t = Coded(d, n, code), &s = d.compute()]() mutable {
    kernels::sum_codes(t.sum, t.codes, t.sum_lost, t.blocks, 0, s);
  };
}
template <Code code>
Launch decompress(Device& d, std::int64_t n) {
  return [t = Coded(d, n, code), &s = d.compute()]() mutable {
    kernels::decode_blocks(t.values, t.codes, t.blocks, s);
  };
}

// Pairs of every rank.
struct Largest {
  Tensor x, waiting, workspace, pairs, all;  // [n], [n], ., [2k], [ranks * 2k]

  Largest(Device& d, std::int64_t n)
      : x(normal(d, n)),
        waiting(wide(d, {n})),
        workspace(kernels::take_largest_workspace(d, n)),
        pairs(Tensor::empty(d, {2 * (n / kTaken + 1)}, DType::int32)),
        all(Tensor::empty(d, {kRanks * pairs.count()}, DType::int32)) {
    for (std::int64_t r = 0; r < kRanks; ++r) {
      Tensor part = all.slice(r * pairs.count(), (r + 1) * pairs.count());
      kernels::take_largest(part, waiting, x, workspace, d.compute());
    }
  }
};
Launch select(Device& d, std::int64_t n) {
  return [t = Largest(d, n), &s = d.compute()]() mutable {
    kernels::take_largest(t.pairs, t.waiting, t.x, t.workspace, s);
  };
}
Launch add_selected(Device& d, std::int64_t n) {
  return [t = Largest(d, n), &s = d.compute()]() mutable {
    kernels::add_pairs(t.x, t.all, kRanks, s);
  };
}

// One matrix, and as many columns of its factors as jobs have by default.
struct Factored {
  kernels::LowRankPointer low_rank;
  Tensor x, m, p, q;

  Factored(Device& d, std::int64_t n) {
    const std::int64_t rows = std::max<std::int64_t>(n / kColumns, 1);
    kernels::LowRankLayout layout;
    layout.matrices.push_back({0, rows, kColumns, kRank, 0, 0});
    layout.p_count = kRank * rows;
    layout.q_count = kRank * kColumns;
    low_rank = kernels::make_low_rank(d, layout);
    x = normal(d, rows * kColumns);
    m = normal(d, rows * kColumns);
    p = normal(d, layout.p_count);
    q = normal(d, layout.q_count);
  }
};
Launch project(Device& d, std::int64_t n) {
  return [t = Factored(d, n), &s = d.compute()]() mutable {
    kernels::project(t.p, t.m, t.x, t.q, t.low_rank, s);
  };
}
Launch project_back(Device& d, std::int64_t n) {
  return [t = Factored(d, n), &s = d.compute()]() mutable {
    kernels::project_back(t.q, t.p, t.m, t.low_rank, s);
  };
}
Launch multiply_factors(Device& d, std::int64_t n) {
  return [t = Factored(d, n), &s = d.compute()]() mutable {
    kernels::multiply_factors(t.x, t.q, t.p, t.low_rank, s);
  };
}

constexpr StreamingKernel kCompression[] = {
    {.name = "add_selected", .prepare = add_selected},
    {.name = "compress", .prepare = compress<Code::bfloat16>, .by = "bfloat16"},
    {.name = "compress", .prepare = compress<Code::float16>, .by = "float16"},
    {.name = "compress", .prepare = compress<Code::int8>, .by = "int8"},
    {.name = "decompress", .prepare = decompress<Code::bfloat16>, .by = "bfloat16"},
    {.name = "decompress", .prepare = decompress<Code::float16>, .by = "float16"},
    {.name = "decompress", .prepare = decompress<Code::int8>, .by = "int8"},
    {.name = "multiply_factors", .prepare = multiply_factors},
    {.name = "project", .prepare = project},
    {.name = "project_back", .prepare = project_back},
    {.name = "select", .prepare = select},
    {.name = "sum_compressed", .prepare = sum_compressed<Code::bfloat16>, .by = "bfloat16"},
    {.name = "sum_compressed", .prepare = sum_compressed<Code::float16>, .by = "float16"},
    {.name = "sum_compressed", .prepare = sum_compressed<Code::int8>, .by = "int8"},
};

}  // namespace

std::span<const StreamingKernel> compression_kernels() {
  return kCompression;
}

}  // namespace lockstep
