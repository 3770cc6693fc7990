// SPDX-License-Identifier: Apache-2.0
// A driver that takes every compiled kernel and runs none, opened as libcuda.so.1: cuDNN then makes
// plans for a GPU that is not here. Any other function says that it is not the real one, but with
// LOCKSTEP_FAKE_GPU it counts one GPU of that name (tests/gpu/run).
#include <cstdlib>
#include <cstring>

namespace {
constexpr int kStub = 34;  // CUDA_ERROR_STUB_LIBRARY

const char* gpu() {
  return std::getenv("LOCKSTEP_FAKE_GPU");
}
}  // namespace

extern "C" {

int cuLibraryLoadData(void** library) {
  static int loaded;
  *library = &loaded;
  return 0;
}
int cuLibraryGetKernel(void** kernel) {
  return cuLibraryLoadData(kernel);
}
int cuLibraryUnload() {
  return 0;
}
int cuKernelSetAttribute() {
  return 0;
}
int cuInit() {
  return gpu() ? 0 : kStub;
}
int cuDeviceGetCount(int* count) {
  *count = gpu() ? 1 : 0;
  return cuInit();
}
int cuDeviceGetName(char* name, int size, int) {
  std::strncpy(name, gpu(), static_cast<std::size_t>(size));
  return 0;
}

// What cuDNN 9.19 looks up besides.
int cuCtxGetCurrent() {
  return kStub;
}
int cuCtxGetDevice() {
  return kStub;
}
int cuCtxGetLimit() {
  return kStub;
}
int cuCtxPopCurrent() {
  return kStub;
}
int cuCtxPushCurrent() {
  return kStub;
}
int cuDeviceGet() {
  return kStub;
}
int cuDeviceGetAttribute() {
  return kStub;
}
int cuDevicePrimaryCtxRelease() {
  return kStub;
}
int cuDevicePrimaryCtxReset() {
  return kStub;
}
int cuDevicePrimaryCtxRetain() {
  return kStub;
}
int cuDriverGetVersion() {
  return kStub;
}
int cuFuncGetAttribute() {
  return kStub;
}
int cuFuncSetAttribute() {
  return kStub;
}
int cuGetErrorName() {
  return kStub;
}
int cuGetErrorString() {
  return kStub;
}
int cuKernelGetAttribute() {
  return kStub;
}
int cuLaunchCooperativeKernel() {
  return kStub;
}
int cuLaunchKernel() {
  return kStub;
}
int cuLaunchKernelEx() {
  return kStub;
}
int cuLibraryLoadFromFile() {
  return kStub;
}
int cuLinkAddData() {
  return kStub;
}
int cuLinkAddData_v2() {
  return kStub;
}
int cuLinkAddFile_v2() {
  return kStub;
}
int cuLinkComplete() {
  return kStub;
}
int cuLinkCreate() {
  return kStub;
}
int cuLinkCreate_v2() {
  return kStub;
}
int cuLinkDestroy() {
  return kStub;
}
int cuMemcpyDtoH_v2() {
  return kStub;
}
int cuModuleGetFunction() {
  return kStub;
}
int cuModuleGetGlobal_v2() {
  return kStub;
}
int cuModuleLoadData() {
  return kStub;
}
int cuModuleLoadDataEx() {
  return kStub;
}
int cuModuleLoadFatBinary() {
  return kStub;
}
int cuModuleUnload() {
  return kStub;
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor() {
  return kStub;
}
int cuOccupancyMaxPotentialClusterSize() {
  return kStub;
}
int cuStreamGetCtx() {
  return kStub;
}
int cuStreamSynchronize() {
  return kStub;
}
int cuTensorMapEncodeTiled() {
  return kStub;
}

}  // extern "C"
