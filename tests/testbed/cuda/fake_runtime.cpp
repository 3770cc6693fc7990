// SPDX-License-Identifier: Apache-2.0
#include "tests/testbed/cuda/fake_runtime.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <memory>
#include <thread>

#include "tests/testbed/cuda/fake_memory.hpp"

namespace lockstep::fake {
namespace {

double seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

// What a test may ask for: another driver ("12040"), an older GPU ("7").
int asked_for(const char* variable, int otherwise) {
  const char* const text = std::getenv(variable);
  return text ? std::atoi(text) : otherwise;
}
int driver() {
  return asked_for("LOCKSTEP_EMULATED_DRIVER", CUDART_VERSION);
}
int capability() {
  return asked_for("LOCKSTEP_EMULATED_CAPABILITY", 9);
}

// What an event stands for: a place in a stream.
struct Place {
  bool reached = true;
  double at = seconds();
};

}  // namespace
}  // namespace lockstep::fake

struct CUstream_st {
  std::deque<lockstep::fake::Step> steps;
};
struct CUevent_st {
  bool has_time = true, recorded = false;
  std::shared_ptr<lockstep::fake::Place> place = std::make_shared<lockstep::fake::Place>();
};

namespace lockstep::fake {
namespace {

std::recursive_mutex the_mutex;
CUstream_st default_stream;
std::list<CUstream_st*> streams{&default_stream};

CUstream_st& of(cudaStream_t stream) {
  return stream ? *stream : default_stream;
}

void progress() {
  for (CUstream_st* stream : streams) {
    if (stream->steps.empty()) continue;
    const OnGpu works;
    while (!stream->steps.empty() && stream->steps.front()())
      stream->steps.pop_front();
  }
}

template <class Done>
void wait_until(Done done) {
  for (;;) {
    {
      const auto lock = locked();
      progress();
      if (done()) return;
    }
    std::this_thread::yield();
  }
}

bool all_idle() {
  return std::all_of(streams.begin(), streams.end(),
                     [](const CUstream_st* stream) { return stream->steps.empty(); });
}

void once(cudaStream_t stream, std::function<void()> body) {
  enqueue(stream, [body = std::move(body)] {
    body();
    return true;
  });
}

// ---- memory

// Page-locked memory of the host begins as poison, too.
cudaError_t take_pinned(void** memory, std::size_t bytes) {
  if (posix_memalign(memory, 4096, bytes) != 0) return cudaErrorMemoryAllocation;
  std::memset(*memory, 0xff, bytes);
  return cudaSuccess;
}

// Where guarded memory makes it known: that both ends lie where the copy says.
bool goes(cudaMemcpyKind kind, const void* to, const void* from) {
  if (!guarded() || kind == cudaMemcpyDefault) return true;
  const bool into = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool out = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return on_gpu(to) == into && on_gpu(from) == out;
}

}  // namespace

std::unique_lock<std::recursive_mutex> locked() {
  return std::unique_lock(the_mutex);
}

void enqueue(cudaStream_t stream, Step step) {
  const auto lock = locked();
  of(stream).steps.push_back(std::move(step));
  if (!kLaunchesReturnAtOnce) progress();
}

}  // namespace lockstep::fake

using namespace lockstep::fake;

extern "C" {

// ---- devices

// A driver serves its own major version and older ones.
cudaError_t cudaGetDeviceCount(int* count) {
  const bool serves = driver() / 1000 >= CUDART_VERSION / 1000;
  *count = serves ? 1 : 0;
  return serves ? cudaSuccess : cudaErrorInsufficientDriver;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated");
  properties->major = capability();
  properties->multiProcessorCount = 132;
  properties->totalGlobalMem = kMemory;
  const int gpu = number_of_gpu();
  std::memcpy(properties->uuid.bytes, &gpu, sizeof gpu);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMemoryPoolsSupported           ? 1
           : attribute == cudaDevAttrComputeCapabilityMajor       ? capability()
           : attribute == cudaDevAttrMultiProcessorCount          ? 132
           : attribute == cudaDevAttrMaxSharedMemoryPerBlockOptin ? 227 << 10
                                                                  : 0;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = driver();
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  wait_until(all_idle);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = *greatest = 0;
  return cudaSuccess;
}
const char* cudaGetErrorName(cudaError_t) {
  return "cudaErrorEmulated";
}
const char* cudaGetErrorString(cudaError_t) {
  return "an error of the emulated runtime";
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
cudaError_t cudaPeekAtLastError() {
  return cudaSuccess;
}

// ---- memory

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  return take(memory, bytes);
}
cudaError_t cudaFree(void* memory) {
  wait_until(all_idle);
  give_back(memory);
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t) {
  return take(memory, bytes);
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  once(stream, [=] { give_back(memory); });
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  return take_pinned(memory, bytes);
}
cudaError_t cudaFreeHost(void* memory) {
  wait_until(all_idle);
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* available, std::size_t* total) {
  *total = kMemory;
  *available = *total - allocated();
  return cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  *pool = nullptr;
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
  return cudaSuccess;
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void* value) {
  const std::uint64_t now = allocated();
  std::memcpy(value, &now, sizeof now);
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) {
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (!goes(kind, to, from)) return cudaErrorInvalidMemcpyDirection;
  if (bytes) once(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (!goes(kind, to, from)) return cudaErrorInvalidMemcpyDirection;
  wait_until(all_idle);
  const OnGpu works;
  if (bytes) std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  once(stream, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

// ---- streams and events

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
  const auto lock = locked();
  *stream = new CUstream_st;
  streams.push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  wait_until([=] { return of(stream).steps.empty(); });
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const auto lock = locked();
  progress();
  return of(stream).steps.empty() ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  cudaStreamSynchronize(stream);
  const auto lock = locked();
  streams.remove(stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  enqueue(stream, [place = event->place] { return place->reached; });
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  once(stream, [=] { function(data); });
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st;
  (*event)->has_time = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const auto lock = locked();
  event->recorded = true;
  event->place = std::make_shared<Place>(Place{.reached = false});
  once(stream, [place = event->place] { *place = {true, seconds()}; });
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const auto lock = locked();
  progress();
  return event->place->reached ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  wait_until([=] { return event->place->reached; });
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const auto lock = locked();
  for (const cudaEvent_t event : {begin, end}) {
    if (!event->has_time || !event->recorded) return cudaErrorInvalidResourceHandle;
    if (!event->place->reached) return cudaErrorNotReady;
  }
  *milliseconds = static_cast<float>(1e3 * (end->place->at - begin->place->at));
  return cudaSuccess;
}

}  // extern "C"
