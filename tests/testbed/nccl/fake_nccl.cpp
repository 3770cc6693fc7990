// SPDX-License-Identifier: Apache-2.0
// The operations of the NCCL of fake_gpu.hpp. A collective gathers what all ranks bring by MPI and
// adds it up in the order of ranks, when its turn in the stream comes.
#include <cstring>
#include <utility>
#include <vector>

#include <mpi.h>

#include "collectives/reduce.hpp"
#include "tests/testbed/cuda/fake_memory.hpp"
#include "tests/testbed/nccl/fake_operations.hpp"

namespace lockstep::fake {
namespace {

constexpr int kMessageTag = 1;  // NCCL's messages have none

DType type_of(ncclDataType_t type) {
  switch (type) {
    case ncclFloat64:
      return DType::float64;
    case ncclBfloat16:
      return DType::bfloat16;
    case ncclFloat16:
      return DType::float16;
    case ncclInt32:
      return DType::int32;
    case ncclInt64:
      return DType::int64;
    case ncclUint8:
      return DType::uint8;
    default:
      return DType::float32;
  }
}

ReduceOp op_of(ncclRedOp_t op) {
  switch (op) {
    case ncclProd:
      return ReduceOp::product;
    case ncclMax:
      return ReduceOp::max;
    case ncclMin:
      return ReduceOp::min;
    default:
      return ReduceOp::sum;
  }
}

// `gathered` has what every rank brought: their reduction to `out`.
void fold(const Operation& o, void* out, std::size_t count, ncclDataType_t type, ncclRedOp_t op) {
  const std::size_t bytes = count * size_of(type_of(type));
  auto* const begin = const_cast<std::byte*>(o.gathered.data());
  const Elements sum{begin, count, type_of(type)};
  for (int r = 1; r < o.comm->size; ++r)
    combine(sum, sum, {begin + static_cast<std::size_t>(r) * bytes, count, sum.dtype}, op_of(op));
  std::memcpy(out, begin, bytes);
}

std::vector<std::byte> copy_of(const void* data, std::size_t bytes) {
  const auto* const begin = static_cast<const std::byte*>(data);
  return {begin, begin + bytes};
}

int ints(std::size_t bytes) {
  return static_cast<int>(bytes);
}

// Every rank gets what every rank brings.
void gather_at_all(Operation& o, const void* in, std::size_t bytes) {
  o.given = copy_of(in, bytes);
  o.gathered.resize(bytes * static_cast<std::size_t>(o.comm->size));
  MPI_Iallgather(o.given.data(), ints(bytes), MPI_BYTE, o.gathered.data(), ints(bytes), MPI_BYTE,
                 o.comm->mpi, &o.request);
}

}  // namespace
}  // namespace lockstep::fake

using namespace lockstep;
using namespace lockstep::fake;

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclRemoteError ? "remote process exited or there was a network error"
                                   : "an error of the fake NCCL";
}
const char* ncclGetLastError(ncclComm_t) {
  return "so said the fake NCCL";
}

// ---- operations

ncclResult_t ncclGroupStart() {
  begin_group();
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  return end_group();
}

ncclResult_t ncclAllReduce(const void* in, void* out, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  const std::size_t bytes = count * size_of(type_of(type));
  Operation o;
  o.begin = [=](Operation& self) { gather_at_all(self, in, bytes); };
  o.end = [=](Operation& self) { fold(self, out, count, type, op); };
  return add(comm, stream, std::move(o));
}

ncclResult_t ncclReduceScatter(const void* in, void* out, std::size_t count, ncclDataType_t type,
                               ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  const std::size_t bytes = count * size_of(type_of(type));
  Operation o;
  o.begin = [=](Operation& self) {
    self.given = copy_of(in, bytes * static_cast<std::size_t>(self.comm->size));
    self.gathered.resize(self.given.size());
    MPI_Ialltoall(self.given.data(), ints(bytes), MPI_BYTE, self.gathered.data(), ints(bytes),
                  MPI_BYTE, self.comm->mpi, &self.request);
  };
  o.end = [=](Operation& self) { fold(self, out, count, type, op); };
  return add(comm, stream, std::move(o));
}

ncclResult_t ncclAllGather(const void* in, void* out, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  const std::size_t bytes = count * size_of(type_of(type));
  Operation o;
  o.begin = [=](Operation& self) { gather_at_all(self, in, bytes); };
  o.end = [=](Operation& self) { std::memcpy(out, self.gathered.data(), self.gathered.size()); };
  return add(comm, stream, std::move(o));
}

ncclResult_t ncclBroadcast(const void* in, void* out, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  const std::size_t bytes = count * size_of(type_of(type));
  Operation o;
  o.begin = [=](Operation& self) {
    self.gathered = copy_of(self.comm->rank == root ? in : out, bytes);
    MPI_Ibcast(self.gathered.data(), ints(bytes), MPI_BYTE, root, self.comm->mpi, &self.request);
  };
  o.end = [=](Operation& self) { std::memcpy(out, self.gathered.data(), bytes); };
  return add(comm, stream, std::move(o));
}

ncclResult_t ncclReduce(const void* in, void* out, std::size_t count, ncclDataType_t type,
                        ncclRedOp_t op, int root, ncclComm_t comm, cudaStream_t stream) {
  const std::size_t bytes = count * size_of(type_of(type));
  Operation o;
  o.begin = [=](Operation& self) {
    self.given = copy_of(in, bytes);
    self.gathered.resize(bytes * static_cast<std::size_t>(self.comm->size));
    MPI_Igather(self.given.data(), ints(bytes), MPI_BYTE, self.gathered.data(), ints(bytes),
                MPI_BYTE, root, self.comm->mpi, &self.request);
  };
  o.end = [=](Operation& self) {
    if (self.comm->rank == root) fold(self, out, count, type, op);
  };
  return add(comm, stream, std::move(o));
}

ncclResult_t ncclSend(const void* data, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  if (!on_gpu(data)) return ncclInvalidArgument;
  const std::size_t bytes = count * size_of(type_of(type));
  Operation o;
  o.begin = [=](Operation& self) {
    MPI_Issend(data, ints(bytes), MPI_BYTE, peer, kMessageTag, self.comm->mpi, &self.request);
  };
  return add(comm, stream, std::move(o));
}

ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  if (!on_gpu(data)) return ncclInvalidArgument;
  const std::size_t bytes = count * size_of(type_of(type));
  Operation o;
  o.begin = [=](Operation& self) {
    MPI_Irecv(data, ints(bytes), MPI_BYTE, peer, kMessageTag, self.comm->mpi, &self.request);
  };
  return add(comm, stream, std::move(o));
}

}  // extern "C"
