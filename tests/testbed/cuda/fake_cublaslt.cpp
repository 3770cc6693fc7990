// SPDX-License-Identifier: Apache-2.0
// As much of cuBLASLt as gemm_cublaslt.cpp calls, by the triple loop: column-major matrices of
// float32 and bfloat16, float32 sums, a bias or not, GELU and its gradient (tanh form). A library
// of its own, which the emulated program opens instead of the real one.
#include <cstring>
#include <map>
#include <new>
#include <vector>

#include <cublasLt.h>

#include "runtime/base/half.hpp"
#include "runtime/kernels/math.hpp"
#include "tests/testbed/cuda/fake_memory.hpp"

namespace {

using Attributes = std::map<int, std::vector<unsigned char>>;

// The semi-opaque structs hold a pointer.
template <class Opaque>
Attributes& attributes(Opaque* opaque) {
  Attributes* at = nullptr;
  std::memcpy(&at, opaque->data, sizeof at);
  return *at;
}
template <class Opaque>
cublasStatus_t create(Opaque** opaque) {
  *opaque = new Opaque{};
  auto* at = new Attributes;
  std::memcpy((*opaque)->data, &at, sizeof at);
  return CUBLAS_STATUS_SUCCESS;
}
template <class Opaque>
cublasStatus_t destroy(Opaque* opaque) {
  delete &attributes(opaque);
  delete opaque;
  return CUBLAS_STATUS_SUCCESS;
}
template <class Opaque>
cublasStatus_t set(Opaque* opaque, int name, const void* value, std::size_t bytes) {
  const auto* from = static_cast<const unsigned char*>(value);
  attributes(opaque)[name].assign(from, from + bytes);
  return CUBLAS_STATUS_SUCCESS;
}
template <class T, class Opaque>
T get(const Opaque* opaque, int name, T otherwise) {
  const auto& all = attributes(const_cast<Opaque*>(opaque));
  const auto found = all.find(name);
  if (found == all.end()) return otherwise;
  T value{};
  std::memcpy(&value, found->second.data(), sizeof value);
  return value;
}

struct Matrix {
  const void* data;
  cudaDataType type;
  std::int64_t rows, columns, ld;

  Matrix(const void* at, cublasLtMatrixLayout_t layout)
      : data(at),
        type(get(layout, CUBLASLT_MATRIX_LAYOUT_TYPE, CUDA_R_32F)),
        rows(get<std::int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, 0)),
        columns(get<std::int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_COLS, 0)),
        ld(get<std::int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_LD, 0)) {}

  bool half() const { return type == CUDA_R_16BF; }
  std::int64_t at(std::int64_t i, std::int64_t j, bool turned) const {
    return turned ? i * ld + j : j * ld + i;
  }
};

float read(const void* data, bool half, std::int64_t i) {
  if (half) return static_cast<float>(static_cast<const lockstep::BFloat16*>(data)[i]);
  return static_cast<const float*>(data)[i];
}
void write(void* data, bool half, std::int64_t i, float x) {
  if (half)
    static_cast<lockstep::BFloat16*>(data)[i] = lockstep::BFloat16(x);
  else
    static_cast<float*>(data)[i] = x;
}

}  // namespace

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new int);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}
std::size_t cublasLtGetVersion() {
  return CUBLAS_VERSION;
}
const char* cublasLtGetStatusString(cublasStatus_t) {
  return "an error of the emulated cuBLASLt";
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t,
                                        cudaDataType_t) {
  return create(desc);
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  return destroy(desc);
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t name,
                                              const void* value, std::size_t bytes) {
  return set(desc, name, value, bytes);
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t ld) {
  create(layout);
  set(*layout, CUBLASLT_MATRIX_LAYOUT_TYPE, &type, sizeof type);
  set(*layout, CUBLASLT_MATRIX_LAYOUT_ROWS, &rows, sizeof rows);
  set(*layout, CUBLASLT_MATRIX_LAYOUT_COLS, &columns, sizeof columns);
  set(*layout, CUBLASLT_MATRIX_LAYOUT_LD, &ld, sizeof ld);
  return ld < static_cast<std::int64_t>(rows) ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return destroy(layout);
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return create(preference);
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy(preference);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t name,
                                                    const void* value, std::size_t bytes) {
  return set(preference, name, value, bytes);
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t, int wanted,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* found) {
  *found = wanted > 0 ? 1 : 0;
  if (*found) results[0] = {};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha,
                              const void* a_data, cublasLtMatrixLayout_t a_layout,
                              const void* b_data, cublasLtMatrixLayout_t b_layout, const void* beta,
                              const void* c_data, cublasLtMatrixLayout_t, void* d_data,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t*, void*,
                              std::size_t, cudaStream_t) {
  const lockstep::fake::OnGpu works;
  const Matrix a(a_data, a_layout), b(b_data, b_layout), d(d_data, d_layout);
  const bool ta = get(desc, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_N) == CUBLAS_OP_T;
  const bool tb = get(desc, CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N) == CUBLAS_OP_T;
  const std::int64_t depth = ta ? a.rows : a.columns;
  const bool fits = (ta ? a.columns : a.rows) == d.rows && (tb ? b.rows : b.columns) == d.columns &&
                    (tb ? b.columns : b.rows) == depth;
  if (!fits) return CUBLAS_STATUS_INVALID_VALUE;
  const auto epilogue = get(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT);
  const bool adds_bias =
      epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
  const void* bias =
      adds_bias ? get<const void*>(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, nullptr) : nullptr;
  void* beside = get<void*>(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, nullptr);
  const auto beside_ld = get<std::int64_t>(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, 0);
  const bool gelu =
      epilogue == CUBLASLT_EPILOGUE_GELU_AUX || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
  const bool gradient = epilogue == CUBLASLT_EPILOGUE_DGELU;
  if ((gelu || gradient) && (!beside || beside_ld < d.rows || beside_ld % 8 != 0))
    return CUBLAS_STATUS_INVALID_VALUE;
  const float scale = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  for (std::int64_t j = 0; j < d.columns; ++j) {
    for (std::int64_t i = 0; i < d.rows; ++i) {
      float sum = 0;
      for (std::int64_t k = 0; k < depth; ++k)
        sum += read(a.data, a.half(), a.at(i, k, ta)) * read(b.data, b.half(), b.at(k, j, tb));
      const std::int64_t at = j * d.ld + i;
      float x = scale * sum;
      if (keep != 0) x += keep * read(c_data, d.half(), at);
      if (bias) x += read(bias, d.half(), i);
      const std::int64_t at_beside = j * beside_ld + i;
      if (gelu) {
        write(beside, d.half(), at_beside, x);
        x = lockstep::kernels::gelu(x);
      }
      if (gradient) x *= lockstep::kernels::gelu_gradient(read(beside, d.half(), at_beside));
      write(d_data, d.half(), at, x);
    }
  }
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
