// SPDX-License-Identifier: Apache-2.0
// One launch for all parameters: a block takes a chunk of one of them, which it finds in a list
// that is an argument of the kernel. Sums have a fixed order: the same bits every time.
#include <algorithm>
#include <memory>

#include "runtime/kernels/any_floats.cuh"
#include "runtime/kernels/cuda_code.cuh"
#include "runtime/kernels/update.hpp"

namespace lockstep::kernels::cuda {

namespace {

constexpr std::int64_t kChunk = 8192;  // elements of a block: 32 a thread

// As many arrays as fit into the 32 KiB that the arguments of a kernel may have: over 400.
template <class Piece>
struct Pieces {
  static constexpr int kMost = 30000 / static_cast<int>(sizeof(Piece) + sizeof(int));
  int num = 0;
  int last_block[kMost];  // of each, one behind
  Piece piece[kMost];
};

struct Chunk {
  int piece;
  std::int64_t begin;
};

// What the block works at: binary search for the first piece that ends behind it.
template <class Piece>
__device__ Chunk chunk_of(const Pieces<Piece>& pieces, int block) {
  int low = 0, high = pieces.num - 1;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (pieces.last_block[middle] > block)
      high = middle;
    else
      low = middle + 1;
  }
  const int first = low == 0 ? 0 : pieces.last_block[low - 1];
  return {low, (block - first) * kChunk};
}

// Launches the kernel for as many pieces at a time as fit.
template <class Piece, class Kernel, class... Arguments>
void for_all(Kernel kernel, const std::vector<Piece>& all, Stream& stream,
             const Arguments&... arguments) {
  auto pieces = std::make_unique<Pieces<Piece>>();
  int blocks = 0;
  const auto flush = [&] {
    if (blocks > 0) launch(kernel, {blocks, kThreads}, stream, *pieces, arguments...);
    pieces->num = blocks = 0;
  };
  for (const Piece& piece : all) {
    if (pieces->num == Pieces<Piece>::kMost) flush();
    blocks += static_cast<int>((piece.count + kChunk - 1) / kChunk);
    pieces->last_block[pieces->num] = blocks;
    pieces->piece[pieces->num++] = piece;
  }
  flush();
}

struct AdamWArrays {
  float *value, *m, *v;
  AnyFloats gradient;
  BFloat16* copy;  // of the new value; or nullptr
  std::int64_t count;
  float weight_decay;
};

struct Step {
  AdamW with;
  float step, root;
};

__device__ inline void adamw_element(float& w, float& g, float& m, float& v, float scale,
                                     float keep, const Step& s) {
  const float gi = g * scale;
  m += (1.0f - s.with.beta1) * (gi - m);
  v += (1.0f - s.with.beta2) * (gi * gi - v);
  w = keep * w - s.step * m / (sqrtf(v) * s.root + s.with.epsilon);
  g = 0;
}

__global__ void adamw_kernel(const __grid_constant__ Pieces<AdamWArrays> pieces,
                             const float* factor, Step s) {
  const Chunk chunk = chunk_of(pieces, static_cast<int>(blockIdx.x));
  const AdamWArrays& p = pieces.piece[chunk.piece];
  const float scale = *factor, keep = 1.0f - s.with.learning_rate * p.weight_decay;
  const std::int64_t end = chunk.begin + kChunk < p.count ? chunk.begin + kChunk : p.count;
  for (std::int64_t i = chunk.begin + threadIdx.x * 4; i < end; i += kThreads * 4) {
    float w[4], g[4], m[4], v[4];
    load_pack(w, p.value, i, end);
    load_pack(m, p.m, i, end);
    load_pack(v, p.v, i, end);
    p.gradient.load(g, i, end);
    for (int j = 0; j < 4; ++j)
      adamw_element(w[j], g[j], m[j], v[j], scale, keep, s);
    store_pack(p.value, w, i, end);
    store_pack(p.m, m, i, end);
    store_pack(p.v, v, i, end);
    p.gradient.set(g, i, end);
    if (p.copy) AnyFloats(p.copy).set(w, i, end);
  }
}

struct MomentumArrays {
  float *value, *velocity;
  AnyFloats gradient;
  std::int64_t count;
};

__global__ void momentum_kernel(const __grid_constant__ Pieces<MomentumArrays> pieces,
                                const float* factor, Momentum with) {
  const Chunk chunk = chunk_of(pieces, static_cast<int>(blockIdx.x));
  const MomentumArrays& p = pieces.piece[chunk.piece];
  const float scale = *factor;
  const std::int64_t end = chunk.begin + kChunk < p.count ? chunk.begin + kChunk : p.count;
  for (std::int64_t i = chunk.begin + threadIdx.x * 4; i < end; i += kThreads * 4) {
    float w[4], g[4], u[4];
    load_pack(w, p.value, i, end);
    load_pack(u, p.velocity, i, end);
    p.gradient.load(g, i, end);
    for (int j = 0; j < 4; ++j) {
      u[j] = with.momentum * u[j] + g[j] * scale + with.weight_decay * w[j];
      w[j] -= with.learning_rate * u[j];
      g[j] = 0;
    }
    store_pack(p.value, w, i, end);
    store_pack(p.velocity, u, i, end);
    p.gradient.set(g, i, end);
  }
}

// Sums of squares: one float64 a chunk, then those of each array in order.
struct Squares {
  AnyFloats x;
  double* of_chunk;
  double* total;
  std::int64_t count;
};

struct PartialSquares {
  double of_warp[kThreads / kWarp];
};

__global__ void squares_kernel(const __grid_constant__ Pieces<Squares> pieces) {
  const Chunk chunk = chunk_of(pieces, static_cast<int>(blockIdx.x));
  const Squares& p = pieces.piece[chunk.piece];
  const std::int64_t end = chunk.begin + kChunk < p.count ? chunk.begin + kChunk : p.count;
  float sum = 0;  // of 32 elements
  for (std::int64_t i = chunk.begin + threadIdx.x * 4; i < end; i += kThreads * 4) {
    float v[4];
    p.x.load(v, i, end);
    for (int j = 0; j < 4; ++j)
      sum += v[j] * v[j];
  }
  const double total = block_sum(static_cast<double>(sum), shared<PartialSquares>().of_warp);
  if (threadIdx.x == 0) p.of_chunk[chunk.begin / kChunk] = total;
}

// A block for every array.
__global__ void total_squares_kernel(const __grid_constant__ Pieces<Squares> pieces) {
  const Squares& p = pieces.piece[blockIdx.x];
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < (p.count + kChunk - 1) / kChunk; i += kThreads)
    sum += p.of_chunk[i];
  sum = block_sum(sum, shared<PartialSquares>().of_warp);
  if (threadIdx.x == 0) *p.total = sum;
}

__global__ void norm_kernel(float* norm, const double* sums, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += kThreads)
    sum += sums[i];
  sum = block_sum(sum, shared<PartialSquares>().of_warp);
  if (threadIdx.x == 0) *norm = static_cast<float>(sqrt(sum));
}

__global__ void clip_kernel(float* factor, const float* norm, float limit) {
  const float wanted = limit > 0 ? limit / (*norm + 1e-6f) : 1.0f;
  *factor = wanted < 1.0f ? wanted : 1.0f;
}

}  // namespace

void squared_sums(Tensor& sums, const std::vector<Tensor>& gradients, Stream& stream) {
  Device& device = sums.device();
  std::int64_t chunks = 0;
  for (const Tensor& g : gradients)
    chunks += (g.count() + kChunk - 1) / kChunk;
  const MemoryScope scope(device, MemoryUse::buffers);
  Tensor of_chunks = Tensor::empty(device, {chunks}, DType::float64);
  std::vector<Squares> all;
  chunks = 0;
  for (const Tensor& g : gradients) {
    all.push_back({AnyFloats(g), of_chunks.data<double>() + chunks,
                   sums.data<double>() + all.size(), g.count()});
    chunks += (g.count() + kChunk - 1) / kChunk;
  }
  for_all(squares_kernel, all, stream);
  for (std::size_t begin = 0; begin < all.size(); begin += Pieces<Squares>::kMost) {
    auto pieces = std::make_unique<Pieces<Squares>>();
    pieces->num =
        static_cast<int>(std::min<std::size_t>(all.size() - begin, Pieces<Squares>::kMost));
    std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(begin), pieces->num, pieces->piece);
    launch(total_squares_kernel, {pieces->num, kThreads}, stream, *pieces);
  }
}

void norm_of(Tensor& norm, const Tensor& sums, Stream& stream) {
  launch(norm_kernel, {1, kThreads}, stream, norm.data(), sums.data<double>(), sums.count());
}

void clip_factor(Tensor& factor, const Tensor& norm, float limit, Stream& stream) {
  launch(clip_kernel, {1, 1}, stream, factor.data(), norm.data(), limit);
}

void adamw_update(const std::vector<AdamWPiece>& pieces, const Tensor& factor, const AdamW& with,
                  Stream& stream) {
  std::vector<AdamWArrays> all;
  for (AdamWPiece p : pieces) {
    all.push_back({p.value.data(), p.m.data(), p.v.data(), AnyFloats(p.gradient),
                   p.copy ? p.copy.data<BFloat16>() : nullptr, p.value.count(), p.weight_decay});
  }
  for_all(adamw_kernel, all, stream, factor.data(),
          Step{with, with.learning_rate / with.correction1, 1.0f / std::sqrt(with.correction2)});
}

void momentum_update(Tensor& value, Tensor& gradient, Tensor& velocity, const Tensor& factor,
                     const Momentum& with, Stream& stream) {
  const std::vector<MomentumArrays> one = {
      {value.data(), velocity.data(), AnyFloats(gradient), value.count()}};
  for_all(momentum_kernel, one, stream, factor.data(), with);
}

}  // namespace lockstep::kernels::cuda
