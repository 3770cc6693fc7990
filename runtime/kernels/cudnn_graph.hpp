// SPDX-License-Identifier: Apache-2.0
// A graph of operations that cuDNN computes as one kernel, through the C interface of its backend:
// tensors and operations are described, cuDNN is asked for an engine that does all of them at once,
// and its plan is kept. Asking takes tenths of a second: most engines are compiled then.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

struct cudnnContext;

namespace lockstep::kernels::cuda {

// The library, opened when this is called. Throws SystemError where it is missing or too old.
struct Cudnn;
std::shared_ptr<const Cudnn> open_cudnn();
std::size_t version_of(const Cudnn& library);  // 91900 is 9.19.0

// What calls on one thread share.
class CudnnHandle {
 public:
  explicit CudnnHandle(std::shared_ptr<const Cudnn> library);
  ~CudnnHandle();
  CudnnHandle(const CudnnHandle&) = delete;
  CudnnHandle& operator=(const CudnnHandle&) = delete;
  cudnnContext* get() const { return handle_; }

 private:
  std::shared_ptr<const Cudnn> library_;
  cudnnContext* handle_ = nullptr;
};

class CudnnGraph {
 public:
  enum class Type : std::uint8_t { float32, bfloat16, int32, boolean };
  enum class Pointwise : std::uint8_t {
    copy,
    multiply,
    subtract,
    add,
    divide,
    exponential,
    logarithm,
    not_less,
    select
  };
  enum class Reduction : std::uint8_t { sum, largest };
  using Dims = std::array<std::int64_t, 4>;
  using Id = std::int64_t;
  struct Place {
    Id tensor;
    void* at;  // on the GPU
  };

  explicit CudnnGraph(std::shared_ptr<const Cudnn> library);
  ~CudnnGraph();
  CudnnGraph(const CudnnGraph&) = delete;
  CudnnGraph& operator=(const CudnnGraph&) = delete;

  // In memory, where run() is told; or between operations only, row-major.
  Id outside(Type type, const Dims& dims, const Dims& strides);
  Id inside(Type type, const Dims& dims);
  Id inside(Type type, const Dims& dims, const Dims& strides);
  Id number(float value);

  void matmul(Id c, Id a, Id b);
  // y = x op b; of select: y = chosen ? x : b. Dims of 1 are repeated.
  void pointwise(Id y, Pointwise operation, Id x, Id b = kNone, Id chosen = kNone);
  void index(Id y, Id x, std::int64_t axis);  // y = where along the axis an element of x is
  void reduce(Id y, Reduction operation, Id x);
  void view(Id y, Id x);  // the same elements under other dims and strides

  // Asks for an engine. Where there is none, false, and why() is what cuDNN said.
  bool plan(const CudnnHandle& handle);
  // The same for a GPU that is not here (cuDNN 9.8), of which it has the properties, in JSON.
  bool plan_for(const std::string& device_properties);
  const std::string& why() const { return why_; }
  std::size_t workspace_bytes() const { return workspace_bytes_; }

  void run(const CudnnHandle& handle, const std::vector<Place>& places, void* workspace,
           void* cuda_stream) const;

 private:
  class Descriptor;
  using Descriptors = std::vector<std::unique_ptr<Descriptor>>;
  static constexpr Id kNone = 0;

  Id tensor(Type type, const Dims& dims, const Dims& strides);
  Descriptor& added(Descriptors& to, int kind) const;
  bool plan_with(const CudnnHandle* handle, const Descriptor* properties);
  bool plan_by(int heuristic, const Descriptor& graph, const CudnnHandle* handle,
               const Descriptor* properties);

  std::shared_ptr<const Cudnn> library_;
  Descriptors tensors_, details_, operations_;  // tensors_[id - 1]
  std::deque<std::pair<Id, float>> numbers_;
  std::unique_ptr<Descriptor> plan_;
  std::size_t workspace_bytes_ = 0;
  std::string why_;
};

}  // namespace lockstep::kernels::cuda
