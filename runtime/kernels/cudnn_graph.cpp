// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/cudnn_graph.hpp"

#include <cudnn.h>

#include "runtime/base/error.hpp"
#include "runtime/base/shared_library.hpp"

namespace lockstep::kernels::cuda {

struct Cudnn {
  SharedLibrary file{"cuDNN", {"libcudnn.so.9"}};
  template <class F>
  F find(const char* name) const {
    return file.find<F>(name);
  }
  decltype(&cudnnGetVersion) version = find<decltype(&cudnnGetVersion)>("cudnnGetVersion");
  decltype(&cudnnGetErrorString) text_of =
      find<decltype(&cudnnGetErrorString)>("cudnnGetErrorString");
  decltype(&cudnnGetLastErrorString) last_error =
      find<decltype(&cudnnGetLastErrorString)>("cudnnGetLastErrorString");
  decltype(&cudnnCreate) create = find<decltype(&cudnnCreate)>("cudnnCreate");
  decltype(&cudnnDestroy) destroy = find<decltype(&cudnnDestroy)>("cudnnDestroy");
  decltype(&cudnnSetStream) set_stream = find<decltype(&cudnnSetStream)>("cudnnSetStream");
  decltype(&cudnnBackendCreateDescriptor) create_descriptor =
      find<decltype(&cudnnBackendCreateDescriptor)>("cudnnBackendCreateDescriptor");
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor =
      find<decltype(&cudnnBackendDestroyDescriptor)>("cudnnBackendDestroyDescriptor");
  decltype(&cudnnBackendSetAttribute) set =
      find<decltype(&cudnnBackendSetAttribute)>("cudnnBackendSetAttribute");
  decltype(&cudnnBackendGetAttribute) get =
      find<decltype(&cudnnBackendGetAttribute)>("cudnnBackendGetAttribute");
  decltype(&cudnnBackendFinalize) finalize =
      find<decltype(&cudnnBackendFinalize)>("cudnnBackendFinalize");
  decltype(&cudnnBackendExecute) execute =
      find<decltype(&cudnnBackendExecute)>("cudnnBackendExecute");

  std::string said(cudnnStatus_t status) const {
    char more[512] = {};
    last_error(more, sizeof more);
    return text_of(status) + (more[0] ? ": " + std::string(more) : "");
  }
  void check(cudnnStatus_t status, const char* what) const {
    if (status != CUDNN_STATUS_SUCCESS)
      throw SystemError("cuDNN: " + std::string(what) + ": " + said(status));
  }
};

std::shared_ptr<const Cudnn> open_cudnn() {
  return std::make_shared<const Cudnn>();
}

std::size_t version_of(const Cudnn& library) {
  return library.version();
}

CudnnHandle::CudnnHandle(std::shared_ptr<const Cudnn> library) : library_(std::move(library)) {
  library_->check(library_->create(&handle_), "start");
}

CudnnHandle::~CudnnHandle() {
  (void)library_->destroy(handle_);
}

namespace {

cudnnDataType_t type_of(CudnnGraph::Type type) {
  switch (type) {
    case CudnnGraph::Type::bfloat16:
      return CUDNN_DATA_BFLOAT16;
    case CudnnGraph::Type::int32:
      return CUDNN_DATA_INT32;
    case CudnnGraph::Type::boolean:
      return CUDNN_DATA_BOOLEAN;
    default:
      return CUDNN_DATA_FLOAT;
  }
}

cudnnPointwiseMode_t mode_of(CudnnGraph::Pointwise operation) {
  using P = CudnnGraph::Pointwise;
  switch (operation) {
    case P::multiply:
      return CUDNN_POINTWISE_MUL;
    case P::subtract:
      return CUDNN_POINTWISE_SUB;
    case P::add:
      return CUDNN_POINTWISE_ADD;
    case P::divide:
      return CUDNN_POINTWISE_DIV;
    case P::exponential:
      return CUDNN_POINTWISE_EXP;
    case P::logarithm:
      return CUDNN_POINTWISE_LOG;
    case P::not_less:
      return CUDNN_POINTWISE_CMP_GE;
    case P::select:
      return CUDNN_POINTWISE_BINARY_SELECT;
    default:
      return CUDNN_POINTWISE_IDENTITY;
  }
}

}  // namespace

class CudnnGraph::Descriptor {
 public:
  Descriptor(const Cudnn& library, cudnnBackendDescriptorType_t kind) : library_(library) {
    library.check(library.create_descriptor(kind, &at_), "a descriptor");
  }
  ~Descriptor() { (void)library_.destroy_descriptor(at_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  cudnnBackendDescriptor_t get() const { return at_; }

  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T* values,
           std::size_t count) {
    library_.check(library_.set(at_, name, type, static_cast<std::int64_t>(count), values),
                   "an attribute");
  }
  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
    set(name, type, &value, 1);
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, value.at_);
  }
  void set(cudnnBackendAttributeName_t name, const Dims& value) {
    set(name, CUDNN_TYPE_INT64, value.data(), value.size());
  }
  cudnnStatus_t finalize() { return library_.finalize(at_); }
  void finish(const char* what) { library_.check(finalize(), what); }

 private:
  const Cudnn& library_;
  cudnnBackendDescriptor_t at_ = nullptr;
};

CudnnGraph::CudnnGraph(std::shared_ptr<const Cudnn> library) : library_(std::move(library)) {}

CudnnGraph::~CudnnGraph() = default;

CudnnGraph::Id CudnnGraph::tensor(Type type, const Dims& dims, const Dims& strides) {
  Descriptor& t = added(tensors_, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const auto id = static_cast<Id>(tensors_.size());
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type_of(type));
  t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, dims);
  t.set(CUDNN_ATTR_TENSOR_STRIDES, strides);
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
  t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, std::int64_t{16});
  return id;
}

CudnnGraph::Id CudnnGraph::outside(Type type, const Dims& dims, const Dims& strides) {
  const Id id = tensor(type, dims, strides);
  tensors_.back()->finish("a tensor");
  return id;
}

CudnnGraph::Id CudnnGraph::inside(Type type, const Dims& d) {
  return inside(type, d, {d[1] * d[2] * d[3], d[2] * d[3], d[3], 1});
}

CudnnGraph::Id CudnnGraph::inside(Type type, const Dims& dims, const Dims& strides) {
  const Id id = tensor(type, dims, strides);
  tensors_.back()->set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, true);
  tensors_.back()->finish("a tensor");
  return id;
}

CudnnGraph::Id CudnnGraph::number(float value) {
  const Id id = tensor(Type::float32, {1, 1, 1, 1}, {1, 1, 1, 1});
  tensors_.back()->set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, true);
  tensors_.back()->finish("a number");
  numbers_.emplace_back(id, value);
  return id;
}

CudnnGraph::Descriptor& CudnnGraph::added(Descriptors& to, int kind) const {
  to.push_back(
      std::make_unique<Descriptor>(*library_, static_cast<cudnnBackendDescriptorType_t>(kind)));
  return *to.back();
}

void CudnnGraph::matmul(Id c, Id a, Id b) {
  Descriptor& how = added(details_, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  how.finish("a product");
  Descriptor& o = added(operations_, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  o.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, *tensors_[a - 1]);
  o.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, *tensors_[b - 1]);
  o.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, *tensors_[c - 1]);
  o.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, how);
  o.finish("a product");
}

void CudnnGraph::pointwise(Id y, Pointwise operation_kind, Id x, Id b, Id chosen) {
  Descriptor& how = added(details_, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode_of(operation_kind));
  how.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE,
          operation_kind == Pointwise::not_less ? CUDNN_DATA_BOOLEAN : CUDNN_DATA_FLOAT);
  how.finish("an operation on elements");
  Descriptor& o = added(operations_, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  o.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
  o.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *tensors_[x - 1]);
  if (b != kNone) o.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *tensors_[b - 1]);
  if (chosen != kNone) o.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, *tensors_[chosen - 1]);
  o.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, *tensors_[y - 1]);
  o.finish("an operation on elements");
}

void CudnnGraph::index(Id y, Id x, std::int64_t axis) {
  Descriptor& how = added(details_, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, CUDNN_POINTWISE_GEN_INDEX);
  how.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  how.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, axis);
  how.finish("an index");
  Descriptor& o = added(operations_, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  o.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
  o.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *tensors_[x - 1]);
  o.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, *tensors_[y - 1]);
  o.finish("an index");
}

void CudnnGraph::reduce(Id y, Reduction operation_kind, Id x) {
  Descriptor& how = added(details_, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  how.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  how.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE,
          operation_kind == Reduction::sum ? CUDNN_REDUCE_TENSOR_ADD : CUDNN_REDUCE_TENSOR_MAX);
  how.finish("a reduction");
  Descriptor& o = added(operations_, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  o.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, how);
  o.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, *tensors_[x - 1]);
  o.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, *tensors_[y - 1]);
  o.finish("a reduction");
}

void CudnnGraph::view(Id y, Id x) {
  Descriptor& o = added(operations_, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
  o.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, *tensors_[x - 1]);
  o.set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, *tensors_[y - 1]);
  o.finish("a view");
}

bool CudnnGraph::plan(const CudnnHandle& handle) {
  return plan_with(&handle, nullptr);
}

bool CudnnGraph::plan_for(const std::string& device_properties) {
  Descriptor properties(*library_, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  properties.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                 device_properties.data(), device_properties.size());
  properties.finish("the properties of a GPU");
  return plan_with(nullptr, &properties);
}

bool CudnnGraph::plan_with(const CudnnHandle* handle, const Descriptor* properties) {
  std::vector<cudnnBackendDescriptor_t> all;
  for (const auto& o : operations_)
    all.push_back(o->get());
  Descriptor graph(*library_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, all.data(), all.size());
  if (handle) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle->get());
  if (const cudnnStatus_t status = graph.finalize(); status != CUDNN_STATUS_SUCCESS) {
    why_ = library_->said(status);
    return false;
  }
  return plan_by(CUDNN_HEUR_MODE_A, graph, handle, properties) ||
         plan_by(CUDNN_HEUR_MODE_FALLBACK, graph, handle, properties);
}

// The first of the proposed engines that makes a plan.
bool CudnnGraph::plan_by(int heuristic, const Descriptor& graph, const CudnnHandle* handle,
                         const Descriptor* properties) {
  Descriptor proposals(*library_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  proposals.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  proposals.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE,
                static_cast<cudnnBackendHeurMode_t>(heuristic));
  if (properties) proposals.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *properties);
  if (const cudnnStatus_t status = proposals.finalize(); status != CUDNN_STATUS_SUCCESS) {
    why_ = library_->said(status);
    return false;
  }
  std::int64_t count = 0;
  library_->check(library_->get(proposals.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
                  "engines");
  Descriptors engines;
  std::vector<cudnnBackendDescriptor_t> places;
  for (std::int64_t i = 0; i < count; ++i)
    places.push_back(added(engines, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).get());
  library_->check(library_->get(proposals.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, places.data()),
                  "engines");
  if (count == 0) why_ = "no engine computes this graph";
  for (std::int64_t i = 0; i < count; ++i) {
    auto plan = std::make_unique<Descriptor>(*library_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan->set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, *engines[static_cast<std::size_t>(i)]);
    if (handle) plan->set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle->get());
    if (properties) plan->set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *properties);
    if (const cudnnStatus_t status = plan->finalize(); status != CUDNN_STATUS_SUCCESS) {
      why_ = library_->said(status);
      continue;
    }
    std::int64_t bytes = 0, one = 1;
    library_->check(library_->get(plan->get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                  CUDNN_TYPE_INT64, 1, &one, &bytes),
                    "workspace");
    workspace_bytes_ = static_cast<std::size_t>(bytes);
    plan_ = std::move(plan);
    return true;
  }
  return false;
}

void CudnnGraph::run(const CudnnHandle& handle, const std::vector<Place>& places, void* workspace,
                     void* cuda_stream) const {
  std::vector<std::int64_t> ids;
  std::vector<void*> pointers;
  for (const Place& p : places) {
    ids.push_back(p.tensor);
    pointers.push_back(p.at);
  }
  for (const auto& [id, value] : numbers_) {  // of these, on the host
    ids.push_back(id);
    pointers.push_back(const_cast<float*>(&value));
  }
  Descriptor pack(*library_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids.data(), ids.size());
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers.data(),
           pointers.size());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
  pack.finish("the places of the tensors");
  library_->check(library_->set_stream(handle.get(), static_cast<cudaStream_t>(cuda_stream)),
                  "a stream");
  library_->check(library_->execute(handle.get(), plan_->get(), pack.get()), "a graph");
}

}  // namespace lockstep::kernels::cuda
