// SPDX-License-Identifier: Apache-2.0
// As much of cuDNN's backend as cudnn_graph.cpp calls: a graph is carried out operation by
// operation, in float, by the documented meaning of each. Whether the real one has an engine for a
// graph is asked elsewhere (cudnn_plans_test.cpp).
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include <cudnn.h>

#include "runtime/base/half.hpp"
#include "tests/testbed/cuda/fake_memory.hpp"

namespace {

struct Node {
  cudnnBackendDescriptorType_t kind;
  std::map<int, std::vector<unsigned char>> attributes;
  const Node* graph = nullptr;  // of what an engine was proposed for

  template <class T>
  std::vector<T> all(int name) const {
    const auto found = attributes.find(name);
    if (found == attributes.end()) return {};
    std::vector<T> values(found->second.size() / sizeof(T));
    std::memcpy(values.data(), found->second.data(), found->second.size());
    return values;
  }
  template <class T>
  T one(int name, T otherwise = {}) const {
    const std::vector<T> values = all<T>(name);
    return values.empty() ? otherwise : values[0];
  }
  const Node* node(int name) const { return static_cast<const Node*>(one<void*>(name)); }
};

Node* node_of(cudnnBackendDescriptor_t descriptor) {
  return static_cast<Node*>(descriptor);
}

using Index = std::array<std::int64_t, 4>;

// A tensor while a graph is carried out. Views share their elements.
struct Tensor {
  cudnnDataType_t type;
  std::vector<std::int64_t> dims, strides;
  void* outside = nullptr;
  std::shared_ptr<std::vector<float>> inside;

  explicit Tensor(const Node& t)
      : type(t.one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE)),
        dims(t.all<std::int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS)),
        strides(t.all<std::int64_t>(CUDNN_ATTR_TENSOR_STRIDES)) {}

  // Dims of 1 are repeated; several heads may share one.
  std::int64_t at(const Index& i, const Index& of) const {
    std::int64_t place = 0;
    for (std::size_t d = 0; d < 4; ++d)
      place += (dims[d] == of[d] ? i[d] : i[d] * dims[d] / of[d]) * strides[d];
    return place;
  }
  Index shape() const { return {dims[0], dims[1], dims[2], dims[3]}; }

  float get(const Index& i, const Index& of) const {
    const auto place = static_cast<std::size_t>(at(i, of));
    if (inside) return rounded((*inside)[place]);
    if (type == CUDNN_DATA_BFLOAT16)
      return static_cast<float>(static_cast<const lockstep::BFloat16*>(outside)[place]);
    return static_cast<const float*>(outside)[place];
  }
  void set(const Index& i, float x) {
    const auto place = static_cast<std::size_t>(at(i, shape()));
    if (inside)
      (*inside)[place] = rounded(x);
    else if (type == CUDNN_DATA_BFLOAT16)
      static_cast<lockstep::BFloat16*>(outside)[place] = lockstep::BFloat16(x);
    else
      static_cast<float*>(outside)[place] = x;
  }
  float rounded(float x) const {
    return type == CUDNN_DATA_BFLOAT16 ? static_cast<float>(lockstep::BFloat16(x)) : x;
  }
};

template <class Body>
void for_each(const Index& dims, Body&& body) {
  for (Index i{}; i[0] < dims[0]; ++i[0])
    for (i[1] = 0; i[1] < dims[1]; ++i[1])
      for (i[2] = 0; i[2] < dims[2]; ++i[2])
        for (i[3] = 0; i[3] < dims[3]; ++i[3])
          body(i);
}

class Run {
 public:
  explicit Run(const Node& pack) {
    const auto ids = pack.all<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const auto pointers = pack.all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    for (std::size_t i = 0; i < ids.size(); ++i)
      places_[ids[i]] = pointers[i];
  }

  cudnnStatus_t carry_out(const Node& o) {
    switch (o.kind) {
      case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        return matmul(o);
      case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return pointwise(o);
      case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
        return reduce(o);
      case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
        return view(o);
      default:
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
  }

 private:
  Tensor& tensor(const Node* t) {
    const auto [place, is_new] =
        tensors_.try_emplace(t->one<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID), *t);
    Tensor& made = place->second;
    if (!is_new) return made;
    const auto found = places_.find(place->first);
    if (found != places_.end()) {
      made.outside = found->second;
    } else {
      std::int64_t elements = 1;
      for (std::size_t d = 0; d < 4; ++d)
        elements += (made.dims[d] - 1) * made.strides[d];
      made.inside = std::make_shared<std::vector<float>>(static_cast<std::size_t>(elements), NAN);
    }
    return made;
  }

  cudnnStatus_t matmul(const Node& o) {
    const Tensor& a = tensor(o.node(CUDNN_ATTR_OPERATION_MATMUL_ADESC));
    const Tensor& b = tensor(o.node(CUDNN_ATTR_OPERATION_MATMUL_BDESC));
    Tensor& c = tensor(o.node(CUDNN_ATTR_OPERATION_MATMUL_CDESC));
    if (a.dims[3] != b.dims[2] || a.dims[2] != c.dims[2] || b.dims[3] != c.dims[3])
      return CUDNN_STATUS_BAD_PARAM;
    const std::int64_t depth = a.dims[3];
    for_each(c.shape(), [&](const Index& i) {
      float sum = 0;
      for (std::int64_t k = 0; k < depth; ++k)
        sum += a.get({i[0], i[1], i[2], k}, {c.dims[0], c.dims[1], c.dims[2], depth}) *
               b.get({i[0], i[1], k, i[3]}, {c.dims[0], c.dims[1], depth, c.dims[3]});
      c.set(i, sum);
    });
    return CUDNN_STATUS_SUCCESS;
  }

  cudnnStatus_t pointwise(const Node& o) {
    const Node* how = o.node(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const auto mode = how->one<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
    const auto axis = static_cast<std::size_t>(how->one<std::int64_t>(CUDNN_ATTR_POINTWISE_AXIS));
    const Tensor& x = tensor(o.node(CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
    const Node *b_node = o.node(CUDNN_ATTR_OPERATION_POINTWISE_BDESC),
               *t_node = o.node(CUDNN_ATTR_OPERATION_POINTWISE_TDESC);
    const Tensor *b = b_node ? &tensor(b_node) : nullptr, *t = t_node ? &tensor(t_node) : nullptr;
    Tensor& y = tensor(o.node(CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    for_each(y.shape(), [&](const Index& i) {
      const float v = x.get(i, y.shape()), w = b ? b->get(i, y.shape()) : 0;
      switch (mode) {
        case CUDNN_POINTWISE_IDENTITY:
          return y.set(i, v);
        case CUDNN_POINTWISE_MUL:
          return y.set(i, v * w);
        case CUDNN_POINTWISE_ADD:
          return y.set(i, v + w);
        case CUDNN_POINTWISE_SUB:
          return y.set(i, v - w);
        case CUDNN_POINTWISE_DIV:
          return y.set(i, v / w);
        case CUDNN_POINTWISE_EXP:
          return y.set(i, std::exp(v));
        case CUDNN_POINTWISE_LOG:
          return y.set(i, std::log(v));
        case CUDNN_POINTWISE_CMP_GE:
          return y.set(i, v >= w ? 1.0f : 0.0f);
        case CUDNN_POINTWISE_GEN_INDEX:
          return y.set(i, static_cast<float>(i[axis]));
        case CUDNN_POINTWISE_BINARY_SELECT:
          return y.set(i, t->get(i, y.shape()) != 0 ? v : w);
        default:
          return y.set(i, NAN);
      }
    });
    return CUDNN_STATUS_SUCCESS;
  }

  cudnnStatus_t reduce(const Node& o) {
    const Node* how = o.node(CUDNN_ATTR_OPERATION_REDUCTION_DESC);
    const bool largest =
        how->one<cudnnReduceTensorOp_t>(CUDNN_ATTR_REDUCTION_OPERATOR) == CUDNN_REDUCE_TENSOR_MAX;
    const Tensor& x = tensor(o.node(CUDNN_ATTR_OPERATION_REDUCTION_XDESC));
    Tensor& y = tensor(o.node(CUDNN_ATTR_OPERATION_REDUCTION_YDESC));
    if (y.dims[3] != 1) return CUDNN_STATUS_BAD_PARAM;
    for_each(y.shape(), [&](const Index& i) {
      float of_row = largest ? -INFINITY : 0;
      for (std::int64_t k = 0; k < x.dims[3]; ++k) {
        const float v = x.get({i[0], i[1], i[2], k}, x.shape());
        of_row = largest ? std::max(of_row, v) : of_row + v;
      }
      y.set(i, of_row);
    });
    return CUDNN_STATUS_SUCCESS;
  }

  cudnnStatus_t view(const Node& o) {
    const Tensor& x = tensor(o.node(CUDNN_ATTR_OPERATION_RESHAPE_XDESC));
    Tensor& y = tensor(o.node(CUDNN_ATTR_OPERATION_RESHAPE_YDESC));
    y.outside = x.outside;
    y.inside = x.inside;
    return CUDNN_STATUS_SUCCESS;
  }

  std::map<std::int64_t, void*> places_;
  std::map<std::int64_t, Tensor> tensors_;
};

std::size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return 8;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
      return 1;
    default:
      return sizeof(cudnnDataType_t);  // the enumerations
  }
}

}  // namespace

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

extern "C" {

std::size_t cudnnGetVersion() {
  return CUDNN_VERSION;
}
const char* cudnnGetErrorString(cudnnStatus_t) {
  return "an error of the emulated cuDNN";
}
void cudnnGetLastErrorString(char* message, std::size_t size) {
  if (size > 0) message[0] = '\0';
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t kind,
                                           cudnnBackendDescriptor_t* descriptor) {
  *descriptor = new Node{kind, {}};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete node_of(descriptor);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* values) {
  const auto* from = static_cast<const unsigned char*>(values);
  node_of(descriptor)
      ->attributes[name]
      .assign(from, from + static_cast<std::size_t>(count) * size_of(type));
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, std::int64_t wanted,
                                       std::int64_t* count, void* values) {
  *count = 1;
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS && wanted > 0) {
    Node* engine = node_of(*static_cast<cudnnBackendDescriptor_t*>(values));
    engine->graph = node_of(descriptor)->node(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  }
  if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) *static_cast<std::int64_t*>(values) = 256;
  return CUDNN_STATUS_SUCCESS;
}
// A plan outlives the graph and the engine that it was made of: it keeps the operations.
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  Node* node = node_of(descriptor);
  if (node->kind != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) return CUDNN_STATUS_SUCCESS;
  const Node* engine = node->node(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  if (!engine || !engine->graph) return CUDNN_STATUS_BAD_PARAM;
  node->attributes[CUDNN_ATTR_OPERATIONGRAPH_OPS] =
      engine->graph->attributes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  const lockstep::fake::OnGpu works;
  Run run(*node_of(pack));
  for (void* operation : node_of(plan)->all<void*>(CUDNN_ATTR_OPERATIONGRAPH_OPS)) {
    const cudnnStatus_t status = run.carry_out(*node_of(operation));
    if (status != CUDNN_STATUS_SUCCESS) return status;
  }
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
