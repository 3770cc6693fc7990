// SPDX-License-Identifier: Apache-2.0
// The real cuBLASLt has an algorithm for every product of ours on an H100 that is not here, with
// its epilogue and at the worst alignment that a tensor of its type can have, and takes it when it
// is asked to compute (static_runtime.cpp).
#include <tuple>

#include "runtime/device/cuda_device.hpp"
#include "runtime/kernels/gemm_cublaslt.hpp"
#include "runtime/tensor/tensor.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;
using namespace lockstep::kernels::cuda;
using kernels::Into;
using kernels::Trans;

namespace {

// Addresses that nobody reads, `shift` bytes from where memory of a GPU begins.
struct Places {
  std::uintptr_t shift;
  void* at(std::uintptr_t number) const { return reinterpret_cast<void*>((number << 40) + shift); }
};

// C[m,n] = op(A) op(B), stored without gaps.
struct Asked {
  DType factors, product;
  std::int64_t m, n, k;
  Trans a = Trans::no, b = Trans::no;
  Into into = Into::overwrite;
  bool bias = false, residual = false;
  Product::Gelu gelu = Product::Gelu::none;
};

void ask(const Asked& q, const Places& places, Device& device) {
  Product c{places.at(1), q.product, q.n, q.into};
  if (q.bias) c.bias = places.at(2);
  if (q.residual) c.residual = places.at(6);
  c.gelu = q.gelu;
  if (q.gelu != Product::Gelu::none) c.beside = places.at(3);
  const Factor a{places.at(4), q.factors, q.a == Trans::no ? q.k : q.m, q.a};
  const Factor b{places.at(5), q.factors, q.b == Trans::no ? q.n : q.k, q.b};
  INFO("m " << q.m << " n " << q.n << " k " << q.k << " shifted " << places.shift << " bias "
            << q.bias << " residual " << q.residual << " gelu " << static_cast<int>(q.gelu));
  if (q.gelu != Product::Gelu::none) CHECK(gemm_can(c, a, b, q.m, q.n, q.k, device));
  CHECK_NOTHROW(gemm(c, a, b, q.m, q.n, q.k, device, device.compute()));
}

// The products of a linear map of M rows, I inputs, O outputs.
void ask_linear(DType type, std::int64_t M, std::int64_t I, std::int64_t O, const Places& places,
                Device& device) {
  const auto all = [&](Asked q) { ask(q, places, device); };
  for (const bool bias : {false, true}) {
    for (const bool residual : {false, true})
      all({type, type, M, O, I, Trans::no, Trans::yes, Into::overwrite, bias, residual});
  }
  all({type, type, M, I, O});
  all({type, type, O, I, M, Trans::yes, Trans::no, Into::accumulate});
  if (type != DType::bfloat16) return;
  if (places.shift % 4 == 0)
    all({type, DType::float32, O, I, M, Trans::yes, Trans::no, Into::accumulate});
  if (I % 8 != 0 || O % 8 != 0) return;
  all({type, type, M, O, I, Trans::no, Trans::yes, Into::overwrite, true, false,
       Product::Gelu::of_product});
  all({type, type, M, I, O, Trans::no, Trans::no, Into::overwrite, false, false,
       Product::Gelu::gradient});
}

}  // namespace

TEST_CASE("every product of GPT-2 124M, and some of odd sizes") {
  const auto device = make_cuda_device(0);
  constexpr std::int64_t C = 768, V = 50304;
  for (const DType type : {DType::bfloat16, DType::float32}) {
    for (const std::uintptr_t shift : {0, 16, 4, 2}) {
      if (shift % size_of(type) != 0) continue;
      for (const std::int64_t M : {32 * 1024, 192, 7}) {
        for (const auto& [I, O] : {std::pair{C, 3 * C}, {C, C}, {C, 4 * C}, {4 * C, C}, {C, V}})
          ask_linear(type, M, I, O, {shift}, *device);
        ask_linear(type, M, 64, 65, {shift}, *device);
      }
    }
  }
}
