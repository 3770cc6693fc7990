// SPDX-License-Identifier: Apache-2.0
// A warp takes a run of 256 elements: lane l those at l, l + 32, ... The products of decoding are
// never contracted with a sum behind them, which would be other bits than the host's.
#include <cuda_fp16.h>

#include "runtime/kernels/codes.hpp"
#include "runtime/kernels/cuda_code.cuh"

namespace lockstep::kernels::cuda {

namespace {

constexpr int kEach = static_cast<int>(kCodedRun) / kWarp;  // elements of a lane
constexpr std::uint32_t kInfinity = 0x7f800000, kMagnitude = 0x7fffffff, kNaN = 0x7fc00000;

__device__ bool finite(float x) {
  return (float_to_bits(x) & kMagnitude) < kInfinity;
}
__device__ int lane() {
  return static_cast<int>(threadIdx.x % kWarp);
}

__device__ void narrow(BFloat16& y, float x) {
  y = BFloat16(x);
}
__device__ void narrow(Float16& y, float x) {
  y.bits = __half_as_ushort(__float2half_rn(x));
}
__device__ float wide(BFloat16 x) {
  return to_float(x);
}
__device__ float wide(Float16 x) {
  return __half2float(__ushort_as_half(x.bits));
}

// encode() writes a run's first n elements and turns them into what it wrote.
template <class Half>
struct HalfCode {
  __device__ static std::int64_t bytes(std::int64_t n) { return 2 * n; }

  __device__ static void encode(std::byte* code, float (&x)[kEach], int n) {
    auto* const halves = reinterpret_cast<Half*>(code);
    for (int j = 0; j < kEach; ++j) {
      const int i = lane() + j * kWarp;
      if (i >= n) continue;
      Half half;
      narrow(half, x[j]);
      halves[i] = half;
      x[j] = wide(half);
    }
  }
  __device__ static void decode(float (&x)[kEach], const std::byte* code, int n) {
    const auto* const halves = reinterpret_cast<const Half*>(code);
    for (int j = 0; j < kEach; ++j) {
      const int i = lane() + j * kWarp;
      x[j] = i < n ? wide(halves[i]) : 0.0f;
    }
  }
};

// The scale of a run may lie at any byte.
struct Int8Code {
  static constexpr int kScale = sizeof(float);

  __device__ static std::int64_t bytes(std::int64_t n) {
    return n + kScale * ((n + kCodedRun - 1) / kCodedRun);
  }

  __device__ static float largest_magnitude(const float (&x)[kEach]) {
    std::uint32_t most = 0;
    for (const float v : x) {
      const std::uint32_t size = float_to_bits(v) & kMagnitude;
      most = size > most ? size : most;
    }
    for (int with = kWarp / 2; with > 0; with /= 2) {
      const std::uint32_t other = __shfl_xor_sync(kAllLanes, most, with);
      most = other > most ? other : most;
    }
    return bits_to_float(most);
  }

  __device__ static void encode(std::byte* code, float (&x)[kEach], int n) {
    float scale = largest_magnitude(x) / 127;
    const bool is_number = finite(scale);
    const float divisor = scale > 0 ? scale : 1;
    if (!is_number) scale = bits_to_float(kNaN);
    if (lane() < kScale) code[lane()] = std::byte(float_to_bits(scale) >> 8 * lane() & 0xff);
    for (int j = 0; j < kEach; ++j) {
      const int i = lane() + j * kWarp;
      if (i >= n) continue;
      const float rounded = fminf(fmaxf(nearbyintf(x[j] / divisor), -127.0f), 127.0f);
      const auto q = static_cast<std::int8_t>(is_number ? rounded : 1.0f);
      reinterpret_cast<std::int8_t*>(code)[kScale + i] = q;
      x[j] = __fmul_rn(scale, static_cast<float>(q));
    }
  }
  __device__ static void decode(float (&x)[kEach], const std::byte* code, int n) {
    std::uint32_t bits = 0;
    for (int b = 0; b < kScale; ++b)
      bits |= static_cast<std::uint32_t>(code[b]) << 8 * b;
    const auto* const q = reinterpret_cast<const std::int8_t*>(code) + kScale;
    for (int j = 0; j < kEach; ++j) {
      const int i = lane() + j * kWarp;
      x[j] = i < n ? __fmul_rn(bits_to_float(bits), static_cast<float>(q[i])) : 0.0f;
    }
  }
};

template <class C>
__device__ void encode_run(std::byte* code, float (&x)[kEach], float* lost, int n) {
  float exact[kEach];
  for (int j = 0; j < kEach; ++j) {
    const int i = lane() + j * kWarp;
    if (lost && i < n) x[j] += lost[i];
    exact[j] = x[j];
  }
  C::encode(code, x, n);
  for (int j = 0; j < kEach; ++j) {
    const int i = lane() + j * kWarp;
    const float rest = exact[j] - x[j];
    if (lost && i < n) lost[i] = finite(rest) ? rest : 0.0f;
  }
}

__host__ __device__ std::int64_t num_runs(std::int64_t n) {
  return (n + kCodedRun - 1) / kCodedRun;
}
__device__ int run_size(std::int64_t left) {
  return static_cast<int>(left < kCodedRun ? left : kCodedRun);
}
__device__ std::int64_t warp_of_grid() {
  return (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
}

// The run of this warp, one of each block's: where its elements and its code begin, how many there
// are of it (none or less behind the end of the vector).
struct Run {
  std::int64_t begin, code, size;
};
template <class C>
__device__ Run run_of(const CodedBlocks& blocks) {
  const std::int64_t runs = num_runs(blocks.block), r = warp_of_grid() / runs;
  const std::int64_t in_block = warp_of_grid() % runs * kCodedRun;
  const std::int64_t begin = r * blocks.block + in_block, left = blocks.count - begin;
  const std::int64_t of_block = blocks.block - in_block;
  return {begin, r * C::bytes(blocks.block) + C::bytes(in_block),
          r < blocks.num ? (left < of_block ? left : of_block) : 0};
}

template <class C>
__global__ void encode_kernel(std::byte* codes, const float* values, float* lost,
                              CodedBlocks blocks) {
  const Run run = run_of<C>(blocks);
  if (run.size <= 0) return;
  const int n = run_size(run.size);
  float x[kEach];
  for (int j = 0; j < kEach; ++j) {
    const int i = lane() + j * kWarp;
    x[j] = i < n ? values[run.begin + i] : 0.0f;
  }
  encode_run<C>(codes + run.code, x, lost ? lost + run.begin : nullptr, n);
}

template <class C>
__global__ void sum_kernel(std::byte* sum, const std::byte* codes, float* lost, CodedBlocks blocks,
                           std::int64_t size) {
  const std::int64_t begin = warp_of_grid() * kCodedRun, at = C::bytes(begin);
  if (begin >= size) return;
  const int n = run_size(size - begin);
  float x[kEach], other[kEach];
  C::decode(x, codes + at, n);
  for (int r = 1; r < blocks.num; ++r) {
    C::decode(other, codes + r * C::bytes(blocks.block) + at, n);
    for (int j = 0; j < kEach; ++j)
      x[j] += other[j];
  }
  encode_run<C>(sum + at, x, lost ? lost + begin : nullptr, n);
}

template <class C>
__global__ void decode_kernel(float* values, const std::byte* codes, CodedBlocks blocks) {
  const Run run = run_of<C>(blocks);
  if (run.size <= 0) return;
  const int n = run_size(run.size);
  float x[kEach];
  C::decode(x, codes + run.code, n);
  for (int j = 0; j < kEach; ++j) {
    const int i = lane() + j * kWarp;
    if (i < n) values[run.begin + i] = x[j];
  }
}

// Calls f with a code as a type.
template <class F>
void with_code(Code code, F f) {
  switch (code) {
    case Code::bfloat16:
      return f(HalfCode<BFloat16>{});
    case Code::float16:
      return f(HalfCode<Float16>{});
    case Code::int8:
      return f(Int8Code{});
  }
}

Launch warp_each(std::int64_t runs) {
  return {blocks_of(runs * kWarp), kThreads};
}

float* floats(Tensor& lost) {
  return lost ? lost.data() : nullptr;
}

}  // namespace

void encode_blocks(Tensor& codes, const Tensor& values, Tensor& lost, const CodedBlocks& blocks,
                   Stream& stream) {
  with_code(blocks.code, [&](auto code) {
    launch(encode_kernel<decltype(code)>, warp_each(blocks.num * num_runs(blocks.block)), stream,
           codes.raw(), values.data(), floats(lost), blocks);
  });
}

void sum_codes(Tensor& sum, const Tensor& codes, Tensor& lost, const CodedBlocks& blocks, int block,
               Stream& stream) {
  const std::int64_t size = blocks.size(block);
  with_code(blocks.code, [&](auto code) {
    launch(sum_kernel<decltype(code)>, warp_each(num_runs(size)), stream, sum.raw(), codes.raw(),
           floats(lost), blocks, size);
  });
}

void decode_blocks(Tensor& values, const Tensor& codes, const CodedBlocks& blocks, Stream& stream) {
  with_code(blocks.code, [&](auto code) {
    launch(decode_kernel<decltype(code)>, warp_each(blocks.num * num_runs(blocks.block)), stream,
           values.data(), codes.raw(), blocks);
  });
}

}  // namespace lockstep::kernels::cuda
