// SPDX-License-Identifier: Apache-2.0
// A block takes a row: one pass over the logits for the maximum and the sum together (the sum is
// rescaled when the maximum grows; Milakov, Gimelshein, "Online normalizer calculation for
// softmax", 2018), one that writes the gradient, whose reads mostly come from the cache.
#include "runtime/base/with_type.hpp"
#include "runtime/kernels/cross_entropy.hpp"
#include "runtime/kernels/cuda_code.cuh"

namespace lockstep::kernels::cuda {

namespace {

constexpr int kRowThreads = 512;
constexpr float kLog2e = 1.44269504f;

struct RowPartials {
  float largest[kRowThreads / kWarp], sum[kRowThreads / kWarp];
};

struct RowStatistics {
  float largest, sum;  // of exp(x - largest)
};

// body(c) for the packs of a row of n elements, which begin at multiples of 16 bytes: at most the
// first and the last reach out of the row, the first by c < 0.
template <class T, class Body>
__device__ void for_each_aligned_pack(const T* row, std::int64_t n, Body&& body) {
  const auto shift =
      static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(row) / sizeof(T) % kPack<T>);
  for (std::int64_t c = threadIdx.x * kPack<T> - shift; c < n; c += kRowThreads * kPack<T>)
    body(c);
}

// Such a pack, `otherwise` outside of [0, n).
template <class T>
__device__ void load_within(float (&v)[kPack<T>], const T* row, std::int64_t c, std::int64_t n,
                            float otherwise) {
  if (c >= 0 && c + kPack<T> <= n) return load_pack(v, row, c, n);
  for (int j = 0; j < kPack<T>; ++j)
    v[j] = c + j >= 0 && c + j < n ? to_float(row[c + j]) : otherwise;
}

// The statistics of row[0, count), in every thread.
template <class T>
__device__ RowStatistics statistics_of(const T* row, std::int64_t count) {
  float largest = -3.402823466e+38f, sum = 0, v[kPack<T>];
  for_each_aligned_pack(row, count, [&](std::int64_t c) {
    load_within(v, row, c, count, -INFINITY);
    float most = largest;
    for (int j = 0; j < kPack<T>; ++j)
      most = fmaxf(most, v[j]);
    sum *= power_of_two((largest - most) * kLog2e);
    largest = most;
    for (int j = 0; j < kPack<T>; ++j)
      sum += power_of_two((v[j] - largest) * kLog2e);
  });
  auto& partials = shared<RowPartials>();
  const float of_all = block_max(largest, partials.largest);
  return {of_all, block_sum(sum * power_of_two((largest - of_all) * kLog2e), partials.sum)};
}

// row = factor exp(row - largest), with `scale` less at the target and zero from `valid` on.
template <class T>
__device__ void gradient_row(T* row, std::int64_t target, std::int64_t valid, std::int64_t V,
                             float largest, float factor, float scale) {
  float v[kPack<T>];
  for_each_aligned_pack(row, V, [&](std::int64_t c) {
    load_within(v, row, c, valid, -INFINITY);
    for (int j = 0; j < kPack<T>; ++j) {
      v[j] = factor * power_of_two((v[j] - largest) * kLog2e);
      v[j] -= c + j == target ? scale : 0.0f;
    }
    if (c >= 0) return store_pack(row, v, c, V);
    for (int j = 0; j < kPack<T>; ++j) {
      if (c + j >= 0 && c + j < V) store(row + c + j, v[j]);
    }
  });
}

template <class T>
__global__ void cross_entropy_kernel(float* losses, T* logits, const int* targets, float scale,
                                     std::int64_t V) {
  T* row = logits + blockIdx.x * V;
  const int target = targets[blockIdx.x];
  const float at_target = to_float(row[target]);
  const RowStatistics s = statistics_of(row, V);
  // All threads have read at_target: statistics_of has barriers.
  gradient_row(row, target, V, V, s.largest, scale / s.sum, scale);
  if (threadIdx.x == 0) losses[blockIdx.x] = logf(s.sum) - (at_target - s.largest);
}

template <class T>
__global__ void statistics_kernel(float* stats, const T* logits, const int* targets,
                                  VocabularyRange range, std::int64_t M, std::int64_t V) {
  const std::int64_t r = blockIdx.x;
  const T* row = logits + r * V;
  const RowStatistics s = statistics_of(row, range.valid);
  if (threadIdx.x > 0) return;
  const std::int64_t target = targets[r] - range.first;
  stats[r] = s.largest;
  stats[M + r] = s.sum;
  stats[2 * M + r] = target >= 0 && target < range.valid ? to_float(row[target]) : 0.0f;
}

__global__ void rescale_kernel(float* sums, const float* stats, const float* global_max,
                               std::int64_t M) {
  const std::int64_t r = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (r >= M) return;
  sums[r] = stats[M + r] * power_of_two((stats[r] - global_max[r]) * kLog2e);
  sums[M + r] = stats[2 * M + r];
}

template <class T>
__global__ void gradient_kernel(float* losses, T* logits, const int* targets,
                                const float* global_max, const float* sums, VocabularyRange range,
                                float scale, std::int64_t M, std::int64_t V) {
  const std::int64_t r = blockIdx.x;
  const std::int64_t target = targets[r] - range.first;
  const float largest = global_max[r], sum = sums[r];
  const bool mine = target >= 0 && target < range.valid;
  gradient_row(logits + r * V, mine ? target : -1, range.valid, V, largest, scale / sum, scale);
  if (threadIdx.x == 0) losses[r] = logf(sum) - (sums[M + r] - largest);
}

template <class T>
__global__ void misses_kernel(float* misses, const T* logits, const int* targets,
                              const float* target_logits, VocabularyRange range, std::int64_t V) {
  const T* row = logits + blockIdx.x * V;
  const std::int64_t place = targets[blockIdx.x] - range.first;
  const float x = target_logits[blockIdx.x];
  float found = 0, v[kPack<T>];
  for_each_aligned_pack(row, range.valid, [&](std::int64_t c) {
    load_within(v, row, c, range.valid, -INFINITY);
    for (int j = 0; j < kPack<T>; ++j) {
      const bool other = c + j >= 0 && c + j < range.valid && c + j != place;
      const bool later = c + j < place ? v[j] < x : v[j] <= x;
      if (other && !later) found = 1;
    }
  });
  found = block_max(found, shared<RowPartials>().largest);
  if (threadIdx.x == 0) misses[blockIdx.x] = found;
}

Launch block_a_row(std::int64_t rows) {
  return {dim3(static_cast<unsigned>(rows)), kRowThreads};
}

}  // namespace

void cross_entropy(Tensor& losses, Tensor& logits, const Tensor& targets, float scale,
                   Stream& stream) {
  with_float(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(cross_entropy_kernel<T>, block_a_row(targets.count()), stream, losses.data(),
           logits.data<T>(), targets.data<int>(), scale, logits.dim(-1));
  });
}

void cross_entropy_statistics(Tensor& stats, const Tensor& logits, const Tensor& targets,
                              const VocabularyRange& range, Stream& stream) {
  with_float(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(statistics_kernel<T>, block_a_row(targets.count()), stream, stats.data(),
           logits.data<T>(), targets.data<int>(), range, targets.count(), logits.dim(-1));
  });
}

void cross_entropy_rescale(Tensor& sums, const Tensor& stats, const Tensor& global_max,
                           Stream& stream) {
  const std::int64_t M = global_max.count();
  launch(rescale_kernel, {blocks_of(M), kThreads}, stream, sums.data(), stats.data(),
         global_max.data(), M);
}

void cross_entropy_gradient(Tensor& losses, Tensor& logits, const Tensor& targets,
                            const Tensor& global_max, const Tensor& sums,
                            const VocabularyRange& range, float scale, Stream& stream) {
  with_float(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(gradient_kernel<T>, block_a_row(targets.count()), stream, losses.data(),
           logits.data<T>(), targets.data<int>(), global_max.data(), sums.data(), range, scale,
           targets.count(), logits.dim(-1));
  });
}

void cross_entropy_misses(Tensor& misses, const Tensor& logits, const Tensor& targets,
                          const Tensor& target_logits, const VocabularyRange& range,
                          Stream& stream) {
  with_float(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(misses_kernel<T>, block_a_row(targets.count()), stream, misses.data(), logits.data<T>(),
           targets.data<int>(), target_logits.data(), range, logits.dim(-1));
  });
}

}  // namespace lockstep::kernels::cuda
