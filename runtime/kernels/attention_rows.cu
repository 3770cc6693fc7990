// SPDX-License-Identifier: Apache-2.0
// Attention with a warp for every row: of queries in forward and for dQ, of keys for dK and dV. Its
// lanes first take a score each of 32, then a channel each of 32 and add up what the 32 give.
// Float32 arithmetic on ordinary units: for float32 training and for odd head sizes.
#include "runtime/kernels/attention.cuh"

namespace lockstep::kernels::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kMostChannels = 256, kOfLane = kMostChannels / kWarp;

// Two rows of each warp, as float32: q and dO, or k and v.
struct OwnRows {
  float of_warp[kWarps][2][kMostChannels];
};

template <class T>
__device__ void keep_row(float* to, const T* row, int D) {
  for (int d = threadIdx.x % kWarp; d < D; d += kWarp)
    to[d] = to_float(row[d]);
}

template <class T>
__device__ float dot(const float* a, const T* b, int D) {
  float sum = 0;
  for (int d = 0; d < D; ++d)
    sum += a[d] * to_float(b[d]);
  return sum;
}

// sums += the 32 rows from `first` on, `stride` apart, of which `num` exist, each times the weight
// that its lane holds.
template <class T>
__device__ void add_weighted(float (&sums)[kOfLane], float weight, const T* first,
                             std::int64_t stride, int num, int D) {
  const int lane = threadIdx.x % kWarp;
  for (int i = 0; i < num; ++i) {
    const float w = __shfl_sync(kAllLanes, weight, i);
    for (int j = 0; j < kOfLane; ++j) {
      if (lane + j * kWarp < D) sums[j] += w * to_float(first[i * stride + lane + j * kWarp]);
    }
  }
}

template <class T>
__device__ void write_row(T* to, const float (&v)[kOfLane], float factor, int D) {
  for (int j = 0; j < kOfLane; ++j) {
    const int d = threadIdx.x % kWarp + j * kWarp;
    if (d < D) store(to + d, v[j] * factor);
  }
}

template <class T>
__global__ void forward_rows_kernel(AttentionTensors<T> t) {
  const std::int64_t tokens = t.shape.tokens;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, D = int(t.shape.head_dim);
  const HeadPlace head(t.shape, blockIdx.z, blockIdx.y);
  const std::int64_t query = std::int64_t{blockIdx.x} * kWarps + warp;
  if (query >= tokens) return;
  float* q = shared<OwnRows>().of_warp[warp][0];
  keep_row(q, t.qkv + head.q + query * head.stride, D);
  __syncwarp();
  float sums[kOfLane] = {}, largest = -INFINITY, total = 0;
  for (std::int64_t first = 0; first <= query; first += kWarp) {
    const std::int64_t key = first + lane;
    const int num = static_cast<int>(query + 1 - first < kWarp ? query + 1 - first : kWarp);
    const float score =
        lane < num ? t.scale * dot(q, t.qkv + head.k + key * head.stride, D) : -INFINITY;
    const float most = fmaxf(largest, warp_max(score)), shrink = expf(largest - most);
    float p = expf(score - most);
    total = total * shrink + warp_sum(p);
    largest = most;
    for (float& s : sums)
      s *= shrink;
    p *= lane < num ? dropped(t.mask, head, query, key, tokens) : 0.0f;
    add_weighted(sums, p, t.qkv + head.v + first * head.stride, head.stride, num, D);
  }
  write_row(t.out + head.out + query * head.C, sums, 1.0f / total, D);
  if (lane == 0) t.log_sums[head.row_sums + query] = largest + logf(total);
}

struct ScoreGradient {
  float p, ds;  // the weight with dropout; dS of its score
};

// Of one query and one key, a and b of which are in shared memory and the others are not.
__device__ inline ScoreGradient score_gradient(float score, float dp, float log_sum, float delta,
                                               float factor) {
  const float p = expf(score - log_sum);
  return {p * factor, p * (dp * factor - delta)};
}

template <class T>
__global__ void dq_rows_kernel(AttentionTensors<T> t) {
  const std::int64_t tokens = t.shape.tokens;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, D = int(t.shape.head_dim);
  const HeadPlace head(t.shape, blockIdx.z, blockIdx.y);
  const std::int64_t query = std::int64_t{blockIdx.x} * kWarps + warp;
  if (query >= tokens) return;
  float *q = shared<OwnRows>().of_warp[warp][0], *d_o = shared<OwnRows>().of_warp[warp][1];
  keep_row(q, t.qkv + head.q + query * head.stride, D);
  keep_row(d_o, t.d_o + head.out + query * head.C, D);
  __syncwarp();
  const float log_sum = t.log_sums[head.row_sums + query], delta = t.delta[head.row_sums + query];
  float sums[kOfLane] = {};
  for (std::int64_t first = 0; first <= query; first += kWarp) {
    const std::int64_t key = first + lane;
    const int num = static_cast<int>(query + 1 - first < kWarp ? query + 1 - first : kWarp);
    float ds = 0;
    if (lane < num) {
      const float score = t.scale * dot(q, t.qkv + head.k + key * head.stride, D);
      const float dp = dot(d_o, t.qkv + head.v + key * head.stride, D);
      ds = score_gradient(score, dp, log_sum, delta, dropped(t.mask, head, query, key, tokens)).ds;
    }
    add_weighted(sums, ds, t.qkv + head.k + first * head.stride, head.stride, num, D);
  }
  write_row(t.dqkv + head.q + query * head.stride, sums, t.scale, D);
}

// blockIdx.y is a key head; its query heads follow each other.
template <class T>
__global__ void dkv_rows_kernel(AttentionTensors<T> t) {
  const std::int64_t tokens = t.shape.tokens, group = t.shape.heads / t.shape.kv_heads;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, D = int(t.shape.head_dim);
  const std::int64_t key = std::int64_t{blockIdx.x} * kWarps + warp;
  if (key >= tokens) return;
  const HeadPlace own(t.shape, blockIdx.z, blockIdx.y * group);
  float *k = shared<OwnRows>().of_warp[warp][0], *v = shared<OwnRows>().of_warp[warp][1];
  keep_row(k, t.qkv + own.k + key * own.stride, D);
  keep_row(v, t.qkv + own.v + key * own.stride, D);
  __syncwarp();
  float dk[kOfLane] = {}, dv[kOfLane] = {};
  for (std::int64_t h = blockIdx.y * group; h < (blockIdx.y + 1) * group; ++h) {
    const HeadPlace head(t.shape, blockIdx.z, h);
    for (std::int64_t first = key; first < tokens; first += kWarp) {
      const std::int64_t query = first + lane;
      const int num = static_cast<int>(tokens - first < kWarp ? tokens - first : kWarp);
      ScoreGradient g{0, 0};
      if (lane < num) {
        const float score = t.scale * dot(k, t.qkv + head.q + query * head.stride, D);
        const float dp = dot(v, t.d_o + head.out + query * head.C, D);
        g = score_gradient(score, dp, t.log_sums[head.row_sums + query],
                           t.delta[head.row_sums + query],
                           dropped(t.mask, head, query, key, tokens));
      }
      add_weighted(dk, g.ds, t.qkv + head.q + first * head.stride, head.stride, num, D);
      add_weighted(dv, g.p, t.d_o + head.out + first * head.C, head.C, num, D);
    }
  }
  write_row(t.dqkv + own.k + key * own.stride, dk, t.scale, D);
  write_row(t.dqkv + own.v + key * own.stride, dv, 1.0f, D);
}

Launch warps_for(const AttentionShape& s, std::int64_t heads) {
  expect(s.head_dim <= kMostChannels, "attention on a GPU: a head of more than 256 channels");
  return {dim3(static_cast<unsigned>((s.tokens + kWarps - 1) / kWarps),
               static_cast<unsigned>(heads), static_cast<unsigned>(s.batch)),
          kWarps * kWarp};
}

}  // namespace

template <class T>
void attention_forward_by_rows(const AttentionTensors<T>& t, Stream& stream) {
  launch(forward_rows_kernel<T>, warps_for(t.shape, t.shape.heads), stream, t);
}

template <class T>
void attention_backward_by_rows(const AttentionTensors<T>& t, Stream& stream) {
  launch(dq_rows_kernel<T>, warps_for(t.shape, t.shape.heads), stream, t);
  launch(dkv_rows_kernel<T>, warps_for(t.shape, t.shape.kv_heads), stream, t);
}

template void attention_forward_by_rows(const AttentionTensors<float>&, Stream&);
template void attention_forward_by_rows(const AttentionTensors<BFloat16>&, Stream&);
template void attention_backward_by_rows(const AttentionTensors<float>&, Stream&);
template void attention_backward_by_rows(const AttentionTensors<BFloat16>&, Stream&);

}  // namespace lockstep::kernels::cuda
