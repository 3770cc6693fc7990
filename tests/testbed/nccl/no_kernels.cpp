// SPDX-License-Identifier: Apache-2.0
// What the CUDA runtime of tests/testbed/cuda is here: launching returns at once, each rank has a
// GPU unless told otherwise, and there are no kernels, although programs have brought some.
#include <mpi.h>

#include "tests/testbed/nccl/fake_gpu.hpp"

namespace lockstep::fake {

namespace {
bool shared_gpu = false;
}

const bool kLaunchesReturnAtOnce = true;

int number_of_gpu() {
  int rank = 0;
  if (!shared_gpu) MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

void share_one_gpu(bool shared) {
  shared_gpu = shared;
}

}  // namespace lockstep::fake

extern "C" {

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t*, const void*, void**) {
  return cudaErrorNotSupported;
}
cudaError_t cudaLaunchKernel(const void*, dim3, dim3, void**, std::size_t, cudaStream_t) {
  return cudaErrorNotSupported;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, std::size_t, cudaStream_t) {
  return cudaErrorNotSupported;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void*) {
  *kernel = nullptr;
  return cudaSuccess;
}
unsigned __cudaPushCallConfiguration(dim3, dim3, std::size_t, CUstream_st*) {
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, std::size_t*, void*) {
  return cudaSuccess;
}
void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char*, char*, const char*, int, uint3*, uint3*, dim3*,
                            dim3*, int*) {}
void __cudaRegisterVar(void**, char*, char*, const char*, int, std::size_t, int, int) {}

}  // extern "C"
