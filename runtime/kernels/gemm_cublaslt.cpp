// SPDX-License-Identifier: Apache-2.0
// cuBLASLt is column-major: a row-major C = A B is the column-major C^T = B^T A^T over the same
// memory, so its first factor is our second. Its bias then runs along our rows, as it should.
//
// The gradient of a bias is a pass over dY of its own (column_sums.cuh), though BGRADB fits dW's
// types and layout: it overwrites where gradients are added, so a vector and a launch remain; of
// the four algorithms that cuBLASLt 11.8 has for most of GPT-2's dW on an H100 it leaves two, its
// first choice among them; and a backward pass of 4.0 s was seen to take 6.6 with it
// (NVIDIA/CUDALibrarySamples, issue 90). Time it before use.
#include "runtime/kernels/gemm_cublaslt.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include <cublasLt.h>

#include "runtime/base/shared_library.hpp"
#include "runtime/device/cuda_launch.hpp"

namespace lockstep::kernels::cuda {

namespace {

// What NVIDIA recommends since Hopper (cuBLAS manual, cublasSetWorkspace).
constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

// The functions of the library, which is opened at the first product.
struct Library {
  SharedLibrary file{"cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12"}};
  template <class F>
  F find(const char* name) const {
    return file.find<F>(name);
  }
  decltype(&cublasLtCreate) create = find<decltype(&cublasLtCreate)>("cublasLtCreate");
  decltype(&cublasLtDestroy) destroy = find<decltype(&cublasLtDestroy)>("cublasLtDestroy");
  decltype(&cublasLtGetStatusString) text_of =
      find<decltype(&cublasLtGetStatusString)>("cublasLtGetStatusString");
  decltype(&cublasLtMatmulDescCreate) create_desc =
      find<decltype(&cublasLtMatmulDescCreate)>("cublasLtMatmulDescCreate");
  decltype(&cublasLtMatmulDescDestroy) destroy_desc =
      find<decltype(&cublasLtMatmulDescDestroy)>("cublasLtMatmulDescDestroy");
  decltype(&cublasLtMatmulDescSetAttribute) set_desc =
      find<decltype(&cublasLtMatmulDescSetAttribute)>("cublasLtMatmulDescSetAttribute");
  decltype(&cublasLtMatrixLayoutCreate) create_layout =
      find<decltype(&cublasLtMatrixLayoutCreate)>("cublasLtMatrixLayoutCreate");
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout =
      find<decltype(&cublasLtMatrixLayoutDestroy)>("cublasLtMatrixLayoutDestroy");
  decltype(&cublasLtMatmulPreferenceCreate) create_preference =
      find<decltype(&cublasLtMatmulPreferenceCreate)>("cublasLtMatmulPreferenceCreate");
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference =
      find<decltype(&cublasLtMatmulPreferenceDestroy)>("cublasLtMatmulPreferenceDestroy");
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference =
      find<decltype(&cublasLtMatmulPreferenceSetAttribute)>("cublasLtMatmulPreferenceSetAttribute");
  decltype(&cublasLtMatmulAlgoGetHeuristic) choose =
      find<decltype(&cublasLtMatmulAlgoGetHeuristic)>("cublasLtMatmulAlgoGetHeuristic");
  decltype(&cublasLtMatmul) matmul = find<decltype(&cublasLtMatmul)>("cublasLtMatmul");

  void check(cublasStatus_t status, const std::string& what) const {
    if (status != CUBLAS_STATUS_SUCCESS)
      throw SystemError("cuBLASLt: " + what + ": " + text_of(status));
  }
};

// All that decides on a plan. Alignments are those of the pointers, up to 256 bytes.
struct Problem {
  std::int64_t m, n, k;
  Factor a, b;
  Product c;
  Products float32;

  static unsigned alignment_of(const void* p) {
    const auto address = reinterpret_cast<std::uintptr_t>(p) | 256;
    return static_cast<unsigned>(address & (~address + 1));
  }
  auto key() const {
    return std::tuple(m, n, k, a.dtype, a.stride, a.trans, alignment_of(a.data), b.dtype, b.stride,
                      b.trans, alignment_of(b.data), c.dtype, c.stride, c.into,
                      alignment_of(c.data), c.bias != nullptr, alignment_of(c.bias), c.gelu,
                      alignment_of(c.beside), alignment_of(c.residual), float32);
  }
  std::string text() const {
    return "a product of " + std::to_string(m) + " x " + std::to_string(n) + " x " +
           std::to_string(k);
  }
};

cudaDataType type_of(DType dtype) {
  return dtype == DType::bfloat16 ? CUDA_R_16BF : CUDA_R_32F;
}

class Plan {
 public:
  Plan(const Library& library, cublasLtHandle_t handle, const Problem& p) : library_(library) {
    const bool tf32 = p.float32 == Products::tf32 && p.a.dtype == DType::float32;
    library.check(library.create_desc(
                      &desc_, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
                  p.text());
    set(CUBLASLT_MATMUL_DESC_TRANSA, operation_of(p.b), p);
    set(CUBLASLT_MATMUL_DESC_TRANSB, operation_of(p.a), p);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p.c), p);
    if (p.c.beside) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.c.stride, p);
    set_places(p);
    layout(first_, p.b.dtype, p.b.trans == Trans::no ? p.n : p.k,
           p.b.trans == Trans::no ? p.k : p.n, p.b.stride, p);
    layout(second_, p.a.dtype, p.a.trans == Trans::no ? p.k : p.m,
           p.a.trans == Trans::no ? p.m : p.k, p.a.stride, p);
    layout(product_, p.c.dtype, p.n, p.m, p.c.stride, p);
    choose(handle, p);
  }
  ~Plan() {
    if (desc_) (void)library_.destroy_desc(desc_);
    for (cublasLtMatrixLayout_t l : {first_, second_, product_}) {
      if (l) (void)library_.destroy_layout(l);
    }
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  bool exists() const { return exists_; }

  void run(cublasLtHandle_t handle, const Problem& p, void* workspace, cudaStream_t stream) {
    const bool adds = p.c.into == Into::accumulate || p.c.residual;
    const float one = 1.0f, keep = adds ? 1.0f : 0.0f;
    const void* added = p.c.residual ? p.c.residual : p.c.data;
    set_places(p);
    library_.check(library_.matmul(handle, desc_, &one, p.b.data, first_, p.a.data, second_, &keep,
                                   added, product_, p.c.data, product_, &algorithm_, workspace,
                                   kWorkspaceBytes, stream),
                   p.text());
  }

 private:
  static cublasLtEpilogue_t epilogue_of(const Product& c) {
    if (c.gelu == Product::Gelu::gradient) return CUBLASLT_EPILOGUE_DGELU;
    if (c.gelu == Product::Gelu::of_product)
      return c.bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
    return c.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  }
  void set_places(const Problem& p) {
    if (p.c.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.c.bias, p);
    if (p.c.beside) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, p.c.beside, p);
  }
  static cublasOperation_t operation_of(const Factor& x) {
    return x.trans == Trans::yes ? CUBLAS_OP_T : CUBLAS_OP_N;
  }

  template <class T>
  void set(cublasLtMatmulDescAttributes_t name, const T& value, const Problem& p) {
    library_.check(library_.set_desc(desc_, name, &value, sizeof value), p.text());
  }

  void layout(cublasLtMatrixLayout_t& into, DType dtype, std::int64_t rows, std::int64_t columns,
              std::int64_t stride, const Problem& p) {
    library_.check(library_.create_layout(&into, type_of(dtype), static_cast<std::uint64_t>(rows),
                                          static_cast<std::uint64_t>(columns), stride),
                   p.text());
  }

  void choose(cublasLtHandle_t handle, const Problem& p) {
    cublasLtMatmulPreference_t preference = nullptr;
    library_.check(library_.create_preference(&preference), p.text());
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
      (void)library_.set_preference(preference, name, &value, sizeof value);
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, Problem::alignment_of(p.b.data));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, Problem::alignment_of(p.a.data));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
           Problem::alignment_of(p.c.residual ? p.c.residual : p.c.data));
    // The epilogue reads the bias, and what stands beside, in the vectors that it writes D in.
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
           std::min({Problem::alignment_of(p.c.data), Problem::alignment_of(p.c.bias),
                     Problem::alignment_of(p.c.beside)}));
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    const cublasStatus_t status = library_.choose(handle, desc_, first_, second_, product_,
                                                  product_, preference, 1, &result, &found);
    (void)library_.destroy_preference(preference);
    exists_ = status == CUBLAS_STATUS_SUCCESS && found > 0;
    if (exists_) algorithm_ = result.algo;
    if (exists_ || p.c.gelu != Product::Gelu::none) return;  // those are asked for by gemm_can
    library_.check(status, p.text());
    throw SystemError("cuBLASLt: no algorithm for " + p.text());
  }

  const Library& library_;
  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t first_ = nullptr, second_ = nullptr, product_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  bool exists_ = false;
};

// The library and the plans of a thread: a plan is changed while it is used.
class Plans {
 public:
  Plans() { library_.check(library_.create(&handle_), "start"); }
  ~Plans() {
    plans_.clear();
    (void)library_.destroy(handle_);
  }
  Plans(const Plans&) = delete;
  Plans& operator=(const Plans&) = delete;

  void run(const Problem& p, void* workspace, cudaStream_t stream) {
    of(p).run(handle_, p, workspace, stream);
  }
  bool can(const Problem& p) { return applies_gelu_fast_ && of(p).exists(); }

 private:
  Plan& of(const Problem& p) {
    const auto place = plans_.try_emplace(p.key()).first;
    if (!place->second) place->second = std::make_unique<Plan>(library_, handle_, p);
    return *place->second;
  }
  static bool on_hopper() {
    int gpu = 0, major = 0;
    check(cudaGetDevice(&gpu));
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu));
    return major >= 9;
  }

  Library library_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<decltype(std::declval<Problem>().key()), std::unique_ptr<Plan>> plans_;
  bool applies_gelu_fast_ = on_hopper();
};

Plans& plans() {
  thread_local Plans of_thread;
  return of_thread;
}

}  // namespace

void gemm(const Product& c, const Factor& a, const Factor& b, std::int64_t m, std::int64_t n,
          std::int64_t k, Device& device, Stream& stream) {
  if (m == 0 || n == 0) return;
  expect(a.dtype == b.dtype, "gemm: factors of one type");
  const MemoryScope scope(device, MemoryUse::buffers);
  const Tensor workspace = Tensor::empty(device, {std::int64_t{kWorkspaceBytes}}, DType::uint8);
  plans().run({m, n, k, a, b, c, device.numerics().products}, workspace.raw(), native(stream));
}

bool gemm_can(const Product& c, const Factor& a, const Factor& b, std::int64_t m, std::int64_t n,
              std::int64_t k, Device& device) {
  return m > 0 && n > 0 && plans().can({m, n, k, a, b, c, device.numerics().products});
}

}  // namespace lockstep::kernels::cuda
