// SPDX-License-Identifier: Apache-2.0
// Every kernel of a GPU at the sizes of GPT-2 124M (16 samples of 1024 tokens), timed by CUDA
// events (the Recording of the device), as a share of what this GPU reaches at best: of the rate of
// a copy of 512 MiB for what moves memory, of the rate of a large product of the same type for what
// multiplies. Bytes and FLOPs are those of the kernels' cost lines, so what a kernel reads twice
// lowers its share, and causal attention, counted dense, may pass 100 %.
//   kernels_gpu [--json FILE] [--quick]      --quick: small sizes, for a machine that has no GPU
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/kernels/attention.hpp"
#include "runtime/kernels/attention_cudnn.hpp"
#include "runtime/kernels/codes.hpp"
#include "runtime/kernels/cross_entropy.hpp"
#include "runtime/kernels/dropout.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/embedding.hpp"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/layernorm.hpp"
#include "runtime/kernels/linear.hpp"
#include "runtime/kernels/low_rank.hpp"
#include "runtime/kernels/rmsnorm.hpp"
#include "runtime/kernels/rotary.hpp"
#include "runtime/kernels/swiglu.hpp"
#include "runtime/kernels/top_k.hpp"
#include "runtime/kernels/update.hpp"
#include "tests/support/gpu.hpp"

using namespace lockstep;
using test::Problem;

namespace {

struct Sizes {
  std::int64_t B, T, H, D, V, C = H * D, M = B * T;
  // Elements of the large copy, rows of the large product, parameters and in how many tensors.
  std::int64_t copied, square, parameters, pieces, rounds;
};
constexpr Sizes kGpt2{16, 1024, 12, 64, 50304, 768, 16384, 1 << 28, 8192, 124 << 20, 148, 20};
constexpr Sizes kQuick{1, 64, 2, 16, 131, 32, 64, 1 << 12, 64, 1 << 12, 3, 1};

// What one kernel did, per call.
struct Row {
  std::string name;
  OperationKind kind;
  DType dtype;
  double seconds, flops, bytes;

  bool multiplies() const { return kind != OperationKind::streaming; }
  double rate() const { return (multiplies() ? flops : bytes) / seconds; }
};

// The median of each record of `body` over the rounds; a few go before.
std::vector<Row> timed(Device& device, std::int64_t rounds, const std::function<void()>& body) {
  Recording recording;
  for (std::int64_t i = 0; i < (rounds + 5) / 8; ++i)
    body();
  device.compute().synchronize();
  device.record_into(&recording);
  for (std::int64_t i = 0; i < rounds; ++i)
    body();
  device.compute().synchronize();
  device.record_into(nullptr);
  const auto& records = recording.records();
  const std::size_t each = records.size() / static_cast<std::size_t>(rounds);
  std::vector<Row> rows;
  for (std::size_t r = 0; r < each; ++r) {
    std::vector<double> seconds;
    for (std::size_t i = r; i < records.size(); i += each)
      seconds.push_back(records[i].end - records[i].begin);
    std::sort(seconds.begin(), seconds.end());
    const Operation& op = records[r].operation;
    rows.push_back({op.name, op.kind, op.dtype, std::max(seconds[seconds.size() / 2], 1e-9),
                    op.flops, op.bytes_read + op.bytes_written});
  }
  return rows;
}

// Measures what it is given, and says in the name of each row how it was computed.
using Measure = std::function<void(const std::function<void()>&, const std::string& how)>;

// The streaming kernels of one type, in the order of a step.
void run_streaming(const Problem& p, const Sizes& s, const Measure& measure) {
  Stream& stream = p.stream();
  const std::int64_t M = s.M, C = s.C;
  const Tensor x = p.random({M, C}, 1), dy = p.random({M, C}, 2), gamma = p.random({C}, 3);
  Tensor y = p.empty({M, C}), dx = p.empty({M, C}), dgamma = p.random32({C}, 4);
  Tensor dbeta = p.random32({C}, 5), rstd = p.empty32({M});
  kernels::LayerNormStatistics statistics{p.empty32({M}), p.empty32({M})};
  measure(
      [&] {
        kernels::layernorm_forward(y, statistics, x, gamma, gamma, stream);
        kernels::layernorm_backward_input(dx, dy, dy, x, statistics, gamma, stream);
        kernels::layernorm_backward_weight(dgamma, dbeta, dy, x, statistics, stream);
        kernels::rmsnorm_forward(y, rstd, x, gamma, stream);
        kernels::rmsnorm_backward_input(dx, dy, dy, x, rstd, gamma, stream);
        kernels::rmsnorm_backward_weight(dgamma, dy, x, rstd, stream);
        kernels::dropout_add(y, dy, x, {.share = 0.1f, .key = 7}, stream);
        kernels::add(y, x, stream);
      },
      "");
  const Tensor wide = p.random({M, 4 * C}, 6), dwide = p.random({M, 4 * C}, 7);
  Tensor out = p.empty({M, 4 * C}), gate = p.empty({M, 2 * C});
  measure(
      [&] {
        kernels::gelu_forward(out, wide, stream);
        kernels::gelu_backward(out, dwide, wide, stream);
        kernels::swiglu_forward(gate, wide, stream);
        kernels::swiglu_backward(out, gate, wide, stream);
      },
      "");
  const Tensor tokens = p.tokens({s.B, s.T}, static_cast<int>(s.V), 8);
  const Tensor table = p.random({s.V, C}, 9), places = p.random({s.T, C}, 10);
  Tensor dtable = p.random32({s.V, C}, 11), dplaces = p.random32({s.T, C}, 12);
  measure(
      [&] {
        kernels::embedding_forward(y, tokens, table, places, 0, stream);
        kernels::embedding_backward(dtable, dplaces, dy, tokens, 0, stream);
      },
      "");
  Tensor logits = p.random({M / 4, s.V}, 13), losses = p.empty32({M / 4});
  const Tensor targets = p.tokens({M / 4}, static_cast<int>(s.V), 14);
  measure([&] { kernels::cross_entropy(losses, logits, targets, 1.0f, stream); }, "");
}

void run_products(const Problem& p, const Sizes& s, const Measure& measure) {
  Stream& stream = p.stream();
  const kernels::AttentionShape shape = kernels::AttentionShape::whole(s.B, s.T, s.H, s.D);
  Tensor qkv = p.random({s.M, 3 * s.C}, 1), o = p.empty({s.M, s.C}), dqkv = p.empty({s.M, 3 * s.C});
  Tensor table = p.empty32({s.T, s.D}), log_sums = p.empty32({s.B, s.H, s.T});
  kernels::rotary_table(table, 10000.0f, stream);
  measure([&] { kernels::rotary_forward(qkv, table, shape, stream); }, "");
  const auto attend = [&] {
    kernels::attention_forward(o, log_sums, qkv, shape, {}, stream);
    kernels::attention_backward(dqkv, o, o, log_sums, qkv, shape, {}, stream);
  };
  measure(attend, "");
  using kernels::cuda::AttentionPass;
  if (p.type == DType::bfloat16 && kernels::cuda::fused_attention(AttentionPass::forward, shape) &&
      kernels::cuda::fused_attention(AttentionPass::backward, shape)) {
    p.device.compute_in({.values = p.type, .attention = AttentionBy::library});
    measure(attend, ", " + kernels::cuda::fused_attention_library());
    p.device.compute_in({.values = p.type});
  }
  const Tensor x = p.random({s.M, s.C}, 2), w = p.random({4 * s.C, s.C}, 3);
  const Tensor b = p.random({4 * s.C}, 4);
  Tensor y = p.random({s.M, 4 * s.C}, 5), dx = p.empty({s.M, s.C});
  Tensor dw = p.random32({4 * s.C, s.C}, 6), db = p.random32({4 * s.C}, 7);
  measure(
      [&] {
        kernels::linear_forward(y, x, w, b, stream);
        kernels::linear_backward_input(dx, y, w, stream);
        kernels::linear_backward_weight(dw, db, y, x, stream);
      },
      "");
  Tensor z = p.random({s.M, 4 * s.C}, 8, 2);
  const Tensor down = p.random({s.C, 4 * s.C}, 9);
  measure(
      [&] {
        kernels::linear_gelu_forward(y, z, x, w, b, stream);
        kernels::linear_gelu_backward_input(y, x, down, z, stream);
      },
      "");
  measure([&] { kernels::linear_forward(dx, z, down, Tensor(), x, stream); }, ", residual");
}

void run_update(const Problem& p, const Sizes& s, const Measure& measure) {
  std::vector<kernels::AdamWPiece> pieces;
  std::vector<Tensor> gradients;
  for (std::int64_t i = 0; i < s.pieces; ++i) {
    const Shape shape{s.parameters / s.pieces};
    const Tensor g = p.random(shape, 1);
    gradients.push_back(g);
    pieces.push_back({p.random32(shape, 2), g, p.random32(shape, 3), p.random32(shape, 4),
                      p.type == DType::bfloat16 ? p.empty(shape) : Tensor(), 0.1f});
    kernels::fill(pieces.back().v, 0.1f, p.stream());
  }
  const Tensor factor = p.random32({1}, 5);
  Tensor sums = Tensor::empty(p.device, {s.pieces}, DType::float64);
  measure(
      [&] {
        kernels::squared_sums(sums, gradients, p.stream());
        kernels::adamw_update(pieces, factor, {1e-4f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.1f, 0.05f},
                              p.stream());
      },
      "");
}

// The local steps of compression: of a bucket of 12 C^2 gradients, a layer's, among eight ranks.
void run_compression(const Problem& p, const Sizes& s, const Measure& measure) {
  Stream& stream = p.stream();
  constexpr int kRanks = 8;
  constexpr std::int64_t kRank = 4;
  const std::int64_t C = s.C, n = 12 * C * C, k = n / 100;
  Tensor bucket = p.random32({n}, 1), kept = p.random32({n}, 2), none;
  for (const kernels::Code code : {kernels::Code::bfloat16, kernels::Code::int8}) {
    const kernels::CodedBlocks blocks{code, kRanks, n, (n + kRanks - 1) / kRanks};
    const std::int64_t bytes = kernels::code_bytes(code, blocks.block);
    Tensor codes = Tensor::empty(p.device, {kRanks * bytes}, DType::uint8);
    Tensor sum = Tensor::empty(p.device, {bytes}, DType::uint8);
    Tensor& lost = code == kernels::Code::int8 ? kept : none;
    measure(
        [&] {
          kernels::encode_blocks(codes, bucket, lost, blocks, stream);
          kernels::sum_codes(sum, codes, none, blocks, 0, stream);
          kernels::decode_blocks(bucket, codes, blocks, stream);
        },
        lost ? ", int8" : ", bfloat16");
  }
  Tensor pairs = Tensor::empty(p.device, {2 * k}, DType::int32);
  Tensor workspace = kernels::take_largest_workspace(p.device, n);
  measure(
      [&] {
        kernels::take_largest(pairs, kept, bucket, workspace, stream);
        kernels::add_pairs(bucket, pairs, 1, stream);
      },
      ", 1 %");
  const auto of = kernels::make_low_rank(
      p.device, {.matrices = {{0, 4 * C, C, kRank, 0, 0},
                              {4 * C * C, 8 * C, C, kRank, 4 * C * kRank, C * kRank}},
                 .p_count = 12 * C * kRank,
                 .q_count = 2 * C * kRank});
  Tensor left = p.random32({12 * C * kRank}, 3), q = p.random32({2 * C * kRank}, 4);
  measure(
      [&] {
        kernels::project(left, kept, bucket, q, of, stream);
        kernels::project_back(q, left, kept, of, stream);
        kernels::multiply_factors(bucket, q, left, of, stream);
      },
      "");
}

// What the shares are of, by these very kernels at their best size.
Row best_copy(const Problem& p, const Sizes& s) {
  const Tensor x = p.random({16}, 1);
  Tensor from = Tensor::empty(p.device, {s.copied / 2}),
         to = Tensor::empty(p.device, {s.copied / 2});
  kernels::fill(from, 1.0f, p.stream());
  Row row = timed(p.device, s.rounds, [&] { kernels::copy(to, from, p.stream()); })[0];
  row.name = "copy, large";
  return row;
}
Row best_product(const Problem& p, const Sizes& s) {
  const Tensor x = p.random({s.square, s.square}, 1), w = p.random({s.square, s.square}, 2);
  Tensor y = p.empty({s.square, s.square});
  Row row =
      timed(p.device, s.rounds, [&] { kernels::linear_forward(y, x, w, Tensor(), p.stream()); })[0];
  row.name = "product, large";
  return row;
}

nlohmann::json print(const Row& row, const Row& best) {
  const double share = row.rate() / best.rate();
  std::printf("%-28s %-9s %10.1f us %9.1f %s %7.1f %%\n", row.name.c_str(), name_of(row.dtype),
              row.seconds * 1e6, row.rate() * (row.multiplies() ? 1e-12 : 1e-9),
              row.multiplies() ? "TFLOP/s" : "GB/s   ", share * 100);
  return {{"kernel", row.name},
          {"type", name_of(row.dtype)},
          {"seconds", row.seconds},
          {"flops", row.flops},
          {"bytes", row.bytes},
          {"share", share},
          {"share_of", row.multiplies() ? "product" : "copy"}};
}

}  // namespace

int main(int argc, char** argv) {
  std::string json_path;
  Sizes sizes = kGpt2;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0) sizes = kQuick;
    if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) json_path = argv[++i];
  }
  if (test::no_gpu()) return 77;
  const auto device = make_cuda_device(0);
  nlohmann::json all = nlohmann::json::array();
  for (const DType type : {DType::bfloat16, DType::float32}) {
    const Problem p{*device, type, false};
    const Row copy = best_copy(p, sizes), product = best_product(p, sizes);
    all.push_back(print(copy, copy));
    all.push_back(print(product, product));
    const auto measure = [&](const std::function<void()>& body, const std::string& how) {
      for (Row row : timed(*device, sizes.rounds, body)) {
        row.name += how;
        all.push_back(print(row, row.multiplies() ? product : copy));
      }
    };
    run_streaming(p, sizes, measure);
    run_products(p, sizes, measure);
    run_update(p, sizes, measure);
    if (type == DType::float32) run_compression(p, sizes, measure);
  }
  if (!json_path.empty()) std::ofstream(json_path) << all.dump(1) << "\n";
  return 0;
}
