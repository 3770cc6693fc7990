// SPDX-License-Identifier: Apache-2.0
// What the static cuBLASLt takes from the CUDA runtime: an H100 that is not here, on which every
// launch succeeds and nothing happens. The real library then chooses algorithms, and checks what it
// is asked for. Compiled with the headers of that library's toolkit.
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <cuda_runtime_api.h>

namespace {

// NVIDIA H100 SXM5, tuning guide of Hopper and deviceQuery; of attributes by their numbers, which
// are the driver's.
int attribute(int of) {
  switch (of) {
    case 1:
    case 2:
    case 3:
      return 1024;  // threads of a block, its extents
    case 4:
      return 64;
    case 5:
      return 2147483647;  // blocks of a grid
    case 6:
    case 7:
      return 65535;
    case 8:
      return 49152;  // shared memory of a block
    case 10:
      return 32;
    case 12:
    case 82:
      return 65536;  // registers
    case 13:
      return 1980000;
    case 16:
      return 132;
    case 38:
      return 52428800;  // second-level cache
    case 39:
      return 2048;  // threads of a multiprocessor
    case 75:
      return 9;
    case 81:
      return 233472;  // shared memory of a multiprocessor
    case 97:
      return 232448;  // of a block that asks for it
    case 106:
      return 32;  // blocks of a multiprocessor
    case 111:
      return 1024;
    case 95:
    case 115:
    case 120:
      return 1;  // cooperative launches, pools, clusters
    default:
      return 0;
  }
}

long nothing() {
  return 0;
}

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char*, char*, const char*, int, uint3*, uint3*, dim3*,
                            dim3*, int*) {}
void __cudaRegisterVar(void**, char*, char*, const char*, int, std::size_t, int, int) {}
unsigned __cudaPushCallConfiguration(dim3, dim3, std::size_t, void*) {
  return 0;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr of, int) {
  *value = attribute(static_cast<int>(of));
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  std::memset(p, 0, sizeof *p);
  std::strcpy(p->name, "NVIDIA H100 80GB HBM3");
  p->totalGlobalMem = 85029158912;
  p->major = 9;
  p->warpSize = attribute(10);
  p->multiProcessorCount = attribute(16);
  p->l2CacheSize = attribute(38);
  p->maxThreadsPerBlock = attribute(1);
  p->maxThreadsPerMultiProcessor = attribute(39);
  for (int i = 0; i < 3; ++i) {
    p->maxThreadsDim[i] = attribute(2 + i);
    p->maxGridSize[i] = attribute(5 + i);
  }
  p->regsPerBlock = p->regsPerMultiprocessor = attribute(12);
  p->sharedMemPerBlock = static_cast<std::size_t>(attribute(8));
  p->sharedMemPerMultiprocessor = static_cast<std::size_t>(attribute(81));
  p->sharedMemPerBlockOptin = static_cast<std::size_t>(attribute(97));
  p->reservedSharedMemPerBlock = static_cast<std::size_t>(attribute(111));
  p->maxBlocksPerMultiProcessor = attribute(106);
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* a, const void*) {
  std::memset(a, 0, sizeof *a);
  a->maxThreadsPerBlock = 1024;
  a->numRegs = 128;
  a->binaryVersion = a->ptxVersion = 90;
  a->maxDynamicSharedSizeBytes = attribute(97);
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* n, const void*, int, std::size_t) {
  *n = 1;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* n, const void*, int,
                                                                   std::size_t, unsigned) {
  *n = 1;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveClusters(int* n, const void*, const cudaLaunchConfig_t*) {
  *n = 66;
  return cudaSuccess;
}
cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(std::size_t* bytes, const void*, int, int) {
  *bytes = static_cast<std::size_t>(attribute(97));
  return cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t, cudaStreamCaptureStatus* status,
                                     unsigned long long*) {
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void*) {
  std::memset(a, 0, sizeof *a);
  a->type = cudaMemoryTypeHost;
  return cudaSuccess;
}
cudaError_t cudaGetFuncBySymbol(cudaFunction_t* function, const void* symbol) {
  *function = static_cast<cudaFunction_t>(const_cast<void*>(symbol));
  return cudaSuccess;
}
cudaError_t cudaGetSymbolAddress(void** address, const void* symbol) {
  *address = const_cast<void*>(symbol);
  return cudaSuccess;
}
// Functions between the runtime and tools: none of them does anything.
cudaError_t cudaGetExportTable(const void** table, const cudaUUID_t*) {
  static const auto* const functions = [] {
    auto* const all = new void*[64];
    all[0] = reinterpret_cast<void*>(64 * sizeof(void*));
    for (int i = 1; i < 64; ++i)
      all[i] = reinterpret_cast<void*>(nothing);
    return all;
  }();
  *table = functions;
  return cudaSuccess;
}
const char* cudaGetErrorName(cudaError_t) {
  return "an error of no GPU";
}
const char* cudaGetErrorString(cudaError_t) {
  return "an error of no GPU";
}
cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  *memory = std::malloc(bytes);
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t) {
  return cudaMalloc(memory, bytes);
}

// What succeeds and does nothing.
cudaError_t cudaLaunchKernel(const void*, dim3, dim3, void**, std::size_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t*, const void*, void**) {
  return cudaSuccess;
}
cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, std::size_t*, void*) {
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) {
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
  return cudaFree(memory);
}
cudaError_t cudaMemsetAsync(void*, int, std::size_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaMemset2DAsync(void*, std::size_t, int, std::size_t, std::size_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void*, const void*, std::size_t, cudaMemcpyKind) {
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void*, const void*, std::size_t, cudaMemcpyKind, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void*, std::size_t, const void*, std::size_t, std::size_t,
                              std::size_t, cudaMemcpyKind, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) {
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = nullptr;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t) {
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t) {
  return cudaSuccess;
}

}  // extern "C"
