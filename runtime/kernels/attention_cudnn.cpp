// SPDX-License-Identifier: Apache-2.0
// The graphs are those of NVIDIA's cudnn-frontend (scaled_dot_product_flash_attention.h, MIT
// licence): cuDNN finds its fused engines by the pattern, so operations and their order matter.
//   B batch, H heads, K heads of keys and values, T tokens, D channels a head
#include "runtime/kernels/attention_cudnn.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "runtime/base/error.hpp"
#include "runtime/kernels/cudnn_graph.hpp"

namespace lockstep::kernels::cuda {

namespace {

using Dims = CudnnGraph::Dims;
using Id = CudnnGraph::Id;
using Pointwise = CudnnGraph::Pointwise;
using Type = CudnnGraph::Type;

// A graph of one pass, and which of its tensors lie where.
struct Pass {
  explicit Pass(std::shared_ptr<const Cudnn> library) : graph(std::move(library)) {}
  CudnnGraph graph;
  Id q, k_t, v, o, log_sums;           // k_t, and v of backward, transposed
  Id d_o, dq, dk, dv, dq_sums, delta;  // of backward; the last two are workspace
};

// How the heads lie in the tensors, and what lives between the operations.
struct Layout {
  AttentionShape s;
  std::int64_t B = s.batch, H = s.heads, K = s.kv_heads, T = s.tokens, D = s.head_dim;
  std::int64_t packed = s.packed(), C = s.channels();

  Dims of_q() const { return {B, H, T, D}; }
  Dims in_qkv() const { return {T * packed, D, packed, 1}; }
  Dims in_o() const { return {T * C, D, C, 1}; }
  Dims of_scores() const { return {B, H, T, T}; }
  Dims turned_scores() const { return {H * T * T, T * T, 1, T}; }  // strides: [T,T] transposed
  Dims of_rows() const { return {B, H, T, 1}; }
  Dims in_rows() const { return {H * T, T, 1, 1}; }
};

// S = scale Q K^T
Id scores(CudnnGraph& g, const Layout& at, Id q, Id k_t, Id scale) {
  const Id product = g.inside(Type::float32, at.of_scores());
  const Id scaled = g.inside(Type::float32, at.of_scores());
  g.matmul(product, q, k_t);
  g.pointwise(scaled, Pointwise::multiply, product, scale);
  return scaled;
}

// Minus infinity where a key is behind the query.
Id causal(CudnnGraph& g, const Layout& at, Id s) {
  const Id row = g.inside(Type::int32, at.of_scores());
  const Id column = g.inside(Type::int32, at.of_scores());
  const Id seen = g.inside(Type::boolean, at.of_scores());
  const Id masked = g.inside(Type::float32, at.of_scores());
  g.index(row, s, 2);
  g.index(column, s, 3);
  g.pointwise(seen, Pointwise::not_less, row, column);
  g.pointwise(masked, Pointwise::select, s, g.number(-std::numeric_limits<float>::infinity()),
              seen);
  return masked;
}

float scale_of(const AttentionShape& s) {
  return 1.0f / std::sqrt(static_cast<float>(s.head_dim));
}

// P = softmax(S),  O = P V,  log_sums = max S + log of the sum of exp(S - max S)
void describe_forward(Pass& p, const Layout& at) {
  CudnnGraph& g = p.graph;
  p.q = g.outside(Type::bfloat16, at.of_q(), at.in_qkv());
  p.k_t =
      g.outside(Type::bfloat16, {at.B, at.K, at.D, at.T}, {at.T * at.packed, at.D, 1, at.packed});
  p.v = g.outside(Type::bfloat16, {at.B, at.K, at.T, at.D}, at.in_qkv());
  p.o = g.outside(Type::bfloat16, at.of_q(), at.in_o());
  p.log_sums = g.outside(Type::float32, at.of_rows(), at.in_rows());
  const auto of_each_row = [&] { return g.inside(Type::float32, at.of_rows(), at.in_rows()); };
  const auto of_each_score = [&] { return g.inside(Type::float32, at.of_scores()); };

  const Id s = causal(g, at, scores(g, at, p.q, p.k_t, g.number(scale_of(at.s))));
  const Id largest = of_each_row(), sum = of_each_row(), log_sum = of_each_row();
  const Id below = of_each_score(), weight = of_each_score();
  g.reduce(largest, CudnnGraph::Reduction::largest, s);
  g.pointwise(below, Pointwise::subtract, s, largest);
  g.pointwise(weight, Pointwise::exponential, below);
  g.reduce(sum, CudnnGraph::Reduction::sum, weight);
  g.pointwise(log_sum, Pointwise::logarithm, sum);
  g.pointwise(p.log_sums, Pointwise::add, largest, log_sum);
  const Id normal = g.inside(Type::bfloat16, at.of_scores());
  g.pointwise(normal, Pointwise::divide, weight, sum);
  g.matmul(p.o, normal, p.v);
}

// delta = the sum over channels of dO O, one for each row.
void describe_delta(Pass& p, const Layout& at) {
  CudnnGraph& g = p.graph;
  const Id product = g.inside(Type::float32, at.of_q());
  const Id sum = g.inside(Type::float32, at.of_rows(), at.in_rows());
  g.pointwise(product, Pointwise::multiply, p.d_o, p.o);
  g.reduce(sum, CudnnGraph::Reduction::sum, product);
  p.delta = g.outside(Type::float32, at.of_rows(), at.in_rows());
  g.pointwise(p.delta, Pointwise::multiply, sum, g.number(1.0f));
}

// P = exp(S - log_sums),  dV = P^T dO,  dS = scale P (dO V^T - delta),  dK = dS^T Q,  dQ = dS K
void describe_backward(Pass& p, const Layout& at) {
  CudnnGraph& g = p.graph;
  const Dims turned{at.B, at.K, at.D, at.T}, in_turned{at.T * at.packed, at.D, 1, at.packed};
  p.q = g.outside(Type::bfloat16, at.of_q(), at.in_qkv());
  p.k_t = g.outside(Type::bfloat16, turned, in_turned);
  p.v = g.outside(Type::bfloat16, turned, in_turned);
  p.o = g.outside(Type::bfloat16, at.of_q(), at.in_o());
  p.d_o = g.outside(Type::bfloat16, at.of_q(), at.in_o());
  p.log_sums = g.outside(Type::float32, at.of_rows(), at.in_rows());
  for (Id* d : {&p.dq, &p.dk, &p.dv})
    *d = g.outside(Type::bfloat16, at.of_q(), at.in_qkv());
  describe_delta(p, at);

  const auto of_each_score = [&] { return g.inside(Type::float32, at.of_scores()); };
  const auto turned_of = [&](Id of_scores) {
    const Id y = g.inside(Type::bfloat16, at.of_scores(), at.turned_scores());
    g.view(y, of_scores);
    return y;
  };
  const Id scale = g.number(scale_of(at.s));
  const Id below = of_each_score(), weight = of_each_score();
  g.pointwise(below, Pointwise::subtract, scores(g, at, p.q, p.k_t, scale), p.log_sums);
  g.pointwise(weight, Pointwise::exponential, causal(g, at, below));
  g.matmul(p.dv, turned_of(weight), p.d_o);

  const Id dp = of_each_score(), less = of_each_score(), ds = of_each_score();
  const Id scaled = g.inside(Type::bfloat16, at.of_scores());
  g.matmul(dp, p.d_o, p.v);
  g.pointwise(less, Pointwise::subtract, dp, p.delta);
  g.pointwise(ds, Pointwise::multiply, less, weight);
  g.pointwise(scaled, Pointwise::multiply, ds, scale);
  g.matmul(p.dk, turned_of(scaled), p.q);

  const Id k = g.inside(Type::bfloat16, at.of_q(), at.in_qkv());
  g.view(k, p.k_t);
  p.dq_sums = g.outside(Type::float32, at.of_q(), {at.H * at.T * at.D, at.T * at.D, at.D, 1});
  g.matmul(p.dq_sums, scaled, k);
  g.pointwise(p.dq, Pointwise::copy, p.dq_sums);
}

std::unique_ptr<Pass> described(std::shared_ptr<const Cudnn> library, AttentionPass which,
                                const AttentionShape& shape) {
  auto pass = std::make_unique<Pass>(std::move(library));
  which == AttentionPass::forward ? describe_forward(*pass, {shape})
                                  : describe_backward(*pass, {shape});
  return pass;
}

std::byte* bytes_of(const Tensor& x) {
  return static_cast<std::byte*>(x.raw());
}

class CudnnAttention : public FusedAttention {
 public:
  CudnnAttention(const CudnnHandle& handle, std::unique_ptr<Pass> pass, const AttentionShape& shape)
      : handle_(handle), pass_(std::move(pass)), shape_(shape) {}

  void run(const Tensors& t, Stream& stream) override {
    const Pass& p = *pass_;
    const std::int64_t k = 2 * shape_.channels(), v = k + 2 * shape_.kv_heads * shape_.head_dim;
    std::byte* const qkv = bytes_of(*t.qkv);
    std::vector<CudnnGraph::Place> places = {{p.q, qkv},
                                             {p.k_t, qkv + k},
                                             {p.v, qkv + v},
                                             {p.o, t.o->raw()},
                                             {p.log_sums, t.log_sums->raw()}};
    Device& device = t.qkv->device();
    const MemoryScope scope(device, MemoryUse::buffers);
    const std::int64_t rows = shape_.batch * shape_.heads * shape_.tokens;
    const Tensor workspace =
        Tensor::empty(device, {static_cast<std::int64_t>(p.graph.workspace_bytes())}, DType::uint8);
    Tensor dq_sums, delta;
    if (t.dqkv) {
      dq_sums = Tensor::empty(device, {rows, shape_.head_dim});
      delta = Tensor::empty(device, {rows});
      std::byte* const dqkv = bytes_of(*t.dqkv);
      places.insert(places.end(), {{p.d_o, t.d_o->raw()},
                                   {p.dq, dqkv},
                                   {p.dk, dqkv + k},
                                   {p.dv, dqkv + v},
                                   {p.dq_sums, dq_sums.raw()},
                                   {p.delta, delta.raw()}});
    }
    p.graph.run(handle_, places, workspace.raw(), stream.native());
  }

 private:
  const CudnnHandle& handle_;
  std::unique_ptr<Pass> pass_;
  AttentionShape shape_;
};

// Before, dQ's sums had to be zeroed first, and minus infinity was no mask (cudnn-frontend).
constexpr std::size_t kOldest = 91000;

// dK and dV of heads that several query heads share would be other graphs. A text that grows token
// by token should not ask for a plan each time, hence the 64.
bool could(AttentionPass pass, const AttentionShape& s) {
  return s.head_dim % 8 == 0 && s.head_dim <= 128 && s.tokens % 64 == 0 &&
         (pass == AttentionPass::forward || s.heads == s.kv_heads);
}

// The plans of a thread, and why there are none.
class Plans {
 public:
  Plans() {
    try {
      library_ = open_cudnn();
      const std::size_t v = version_of(*library_);
      note_ = "cuDNN " + std::to_string(v / 10000) + "." + std::to_string(v % 10000 / 100) + "." +
              std::to_string(v % 100);
      if (v < kOldest)
        note_ = "our own; " + note_ + " is too old";
      else
        handle_ = std::make_unique<CudnnHandle>(library_);
    } catch (const SystemError& missing) {
      note_ = std::string("our own; ") + missing.what();
    }
  }

  FusedAttention* of(AttentionPass pass, const AttentionShape& s) {
    if (!handle_ || !could(pass, s)) return nullptr;
    const auto [place, is_new] =
        plans_.try_emplace(std::tuple(pass, s.batch, s.tokens, s.heads, s.kv_heads, s.head_dim));
    if (is_new) {
      auto described_pass = described(library_, pass, s);
      if (described_pass->graph.plan(*handle_))
        place->second = std::make_unique<CudnnAttention>(*handle_, std::move(described_pass), s);
    }
    return place->second.get();
  }
  const std::string& library() const { return note_; }

 private:
  using Key = std::tuple<AttentionPass, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                         std::int64_t>;

  std::shared_ptr<const Cudnn> library_;
  std::unique_ptr<CudnnHandle> handle_;
  std::map<Key, std::unique_ptr<FusedAttention>> plans_;
  std::string note_;
};

Plans& plans() {
  thread_local Plans of_thread;
  return of_thread;
}

}  // namespace

FusedAttention* fused_attention(AttentionPass pass, const AttentionShape& shape) {
  return plans().of(pass, shape);
}

std::string fused_attention_library() {
  return plans().library();
}

std::string fused_attention_refusal(AttentionPass pass, const AttentionShape& shape,
                                    const std::string& device_properties) {
  if (!could(pass, shape)) return "no graph for this shape";
  try {
    const auto asked = described(open_cudnn(), pass, shape);
    return asked->graph.plan_for(device_properties) ? "" : asked->graph.why();
  } catch (const SystemError& missing) {
    return missing.what();
  }
}

}  // namespace lockstep::kernels::cuda
