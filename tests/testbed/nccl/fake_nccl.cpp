// SPDX-License-Identifier: Apache-2.0
// The NCCL of fake_gpu.hpp. A collective gathers what all ranks bring by MPI and adds it up in the
// order of ranks, when its turn in the stream comes.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <mpi.h>

#include "collectives/reduce.hpp"
#include "tests/testbed/nccl/fake_gpu.hpp"

struct ncclComm {
  MPI_Comm mpi = MPI_COMM_NULL;
  int rank = 0, size = 1;
  int polls = 0;  // that still find something in progress
  bool aborted = false;
  bool finalized = false;
};

namespace lockstep::fake {
namespace {

struct Counts {
  int registered = 0, aborted = 0, communicators = 0;
} counts;
std::vector<cudaStream_t> launched;
ncclResult_t async_error = ncclSuccess, next_launch = ncclSuccess, next_call = ncclSuccess;

constexpr int kPolls = 1;       // of whatever does not block
constexpr int kMessageTag = 1;  // NCCL's messages have none
constexpr int kMeetingTag = 20000;

// One operation of a group: started when the group's turn comes, then asked until it is done.
struct Operation {
  ncclComm* comm = nullptr;
  std::function<void(Operation&)> begin, end;
  std::vector<std::byte> gathered, given;
  MPI_Request request = MPI_REQUEST_NULL;
  bool over = false;

  bool done() {
    if (over) return true;
    int finished = 0;
    MPI_Test(&request, &finished, MPI_STATUS_IGNORE);
    if (!finished) return false;
    if (end) end(*this);
    return over = true;
  }
};

struct Group {
  std::vector<std::shared_ptr<Operation>> operations;
  cudaStream_t stream = nullptr;
  bool begun = false;

  bool step() {
    if (!begun) {
      for (const auto& o : operations) {
        if (!o->comm->aborted) o->begin(*o);
      }
      begun = true;
    }
    bool all = true;
    for (const auto& o : operations)
      all = (o->comm->aborted ? given_up(*o) : o->done()) && all;
    return all;
  }

  // As a kernel that was told to end.
  static bool given_up(Operation& o) {
    if (!o.over && o.request != MPI_REQUEST_NULL && !o.end) {
      MPI_Cancel(&o.request);
      MPI_Request_free(&o.request);
    }
    return o.over = true;
  }
};

thread_local int depth = 0;
thread_local Group open_group;

ncclResult_t close_group() {
  Group group = std::exchange(open_group, {});
  if (group.operations.empty()) return ncclSuccess;
  if (next_launch != ncclSuccess) return std::exchange(next_launch, ncclSuccess);
  for (const auto& o : group.operations)
    o->comm->polls = kPolls;
  const cudaStream_t stream = group.stream;
  const auto lock = locked();
  launched.push_back(stream);
  enqueue(stream, [group = std::make_shared<Group>(std::move(group))] { return group->step(); });
  return ncclInProgress;
}

ncclResult_t add(ncclComm* comm, cudaStream_t stream, Operation operation) {
  if (next_call != ncclSuccess) return std::exchange(next_call, ncclSuccess);
  // As NCCL: what does not block is waited for before the communicator is used again.
  if (comm->polls > 0) return ncclInvalidArgument;
  if (comm->aborted || comm->finalized) return ncclInvalidUsage;
  operation.comm = comm;
  open_group.stream = stream;
  open_group.operations.push_back(std::make_shared<Operation>(std::move(operation)));
  return depth == 0 ? close_group() : ncclSuccess;
}

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

void settled(ncclComm* comm, MPI_Comm mpi) {
  comm->mpi = mpi;
  MPI_Comm_rank(mpi, &comm->rank);
  MPI_Comm_size(mpi, &comm->size);
  comm->polls = kPolls;
  ++counts.communicators;
}

// The ranks that have the id meet at the one that made it, and make a communicator.
MPI_Comm meet(int size, int rank, int host, int word) {
  int me = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  std::vector<int> members(static_cast<std::size_t>(size));
  const int tag = kMeetingTag + word % 1000;
  const int mine[2] = {rank, me};
  MPI_Request sent = MPI_REQUEST_NULL;
  MPI_Isend(mine, 2, MPI_INT, host, tag, MPI_COMM_WORLD, &sent);
  if (me == host) {
    for (int i = 0; i < size; ++i) {
      int theirs[2];
      MPI_Recv(theirs, 2, MPI_INT, MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      members[static_cast<std::size_t>(theirs[0])] = theirs[1];
    }
    for (const int to : members) {
      if (to != me) MPI_Send(members.data(), size, MPI_INT, to, tag, MPI_COMM_WORLD);
    }
  } else {
    MPI_Recv(members.data(), size, MPI_INT, host, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  }
  MPI_Wait(&sent, MPI_STATUS_IGNORE);
  MPI_Group world = MPI_GROUP_NULL, group = MPI_GROUP_NULL;
  MPI_Comm_group(MPI_COMM_WORLD, &world);
  MPI_Group_incl(world, size, members.data(), &group);
  MPI_Comm made = MPI_COMM_NULL;
  MPI_Comm_create_group(MPI_COMM_WORLD, group, tag, &made);
  MPI_Group_free(&group);
  MPI_Group_free(&world);
  return made;
}

}  // namespace

void set_async_error(ncclResult_t error) {
  async_error = error;
}
void fail_next_launch(ncclResult_t error) {
  next_launch = error;
}
void fail_next_call(ncclResult_t error) {
  next_call = error;
}
std::vector<cudaStream_t> launches() {
  const auto lock = locked();
  return launched;
}
void forget_launches() {
  const auto lock = locked();
  launched.clear();
}
int num_registered() {
  return counts.registered;
}
int num_aborted() {
  return counts.aborted;
}
int num_communicators() {
  return counts.communicators;
}

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

// ---- communicators

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  int words[2] = {0, static_cast<int>(std::random_device()() % 1000)};
  MPI_Comm_rank(MPI_COMM_WORLD, &words[0]);
  std::memcpy(id->internal, words, sizeof words);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (config->blocking != 0) return ncclInvalidUsage;
  int words[2];
  std::memcpy(words, id.internal, sizeof words);
  *comm = new ncclComm;
  settled(*comm, meet(size, rank, words[0], words[1]));
  return ncclInProgress;
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t* part,
                           ncclConfig_t* config) {
  if (comm->polls > 0 || config->blocking != 0) return ncclInvalidUsage;
  MPI_Comm made = MPI_COMM_NULL;
  MPI_Comm_split(comm->mpi, color == NCCL_SPLIT_NOCOLOR ? MPI_UNDEFINED : color, key, &made);
  comm->polls = kPolls;
  *part = nullptr;
  if (made == MPI_COMM_NULL) return ncclInProgress;
  *part = new ncclComm;
  settled(*part, made);
  return ncclInProgress;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  comm->finalized = true;
  comm->polls = kPolls;
  return ncclInProgress;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const auto lock = locked();
  if (!comm->finalized) return ncclInvalidUsage;
  MPI_Comm_free(&comm->mpi);
  --counts.communicators;
  delete comm;
  return ncclSuccess;
}
// It stays in memory: operations in streams look at it.
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const auto lock = locked();
  if (depth > 0) std::abort();  // the group holds it
  comm->aborted = true;
  ++counts.aborted;
  --counts.communicators;
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  const auto lock = locked();
  *state = async_error != ncclSuccess ? async_error
           : comm->polls > 0          ? ncclInProgress
                                      : ncclSuccess;
  if (comm->polls > 0) --comm->polls;
  return ncclSuccess;
}
ncclResult_t ncclCommUserRank(ncclComm_t comm, int* rank) {
  *rank = comm->rank;
  return ncclSuccess;
}
ncclResult_t ncclCommCount(ncclComm_t comm, int* size) {
  *size = comm->size;
  return ncclSuccess;
}

ncclResult_t ncclMemAlloc(void** memory, std::size_t bytes) {
  cudaMalloc(memory, bytes);
  return ncclSuccess;
}
ncclResult_t ncclMemFree(void* memory) {
  cudaFree(memory);
  return ncclSuccess;
}
ncclResult_t ncclCommRegister(ncclComm_t, void* memory, std::size_t, void** handle) {
  *handle = memory;
  ++counts.registered;
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(ncclComm_t, void*) {
  --counts.registered;
  return ncclSuccess;
}

// ---- operations

ncclResult_t ncclGroupStart() {
  ++depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  return --depth == 0 ? close_group() : ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* in, void* out, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  const std::size_t bytes = count * size_of(type_of(type));
  Operation o;
  o.begin = [=](Operation& self) {
    self.given = copy_of(in, bytes);
    self.gathered.resize(bytes * static_cast<std::size_t>(self.comm->size));
    MPI_Iallgather(self.given.data(), ints(bytes), MPI_BYTE, self.gathered.data(), ints(bytes),
                   MPI_BYTE, self.comm->mpi, &self.request);
  };
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
  o.begin = [=](Operation& self) {
    self.given = copy_of(in, bytes);
    self.gathered.resize(bytes * static_cast<std::size_t>(self.comm->size));
    MPI_Iallgather(self.given.data(), ints(bytes), MPI_BYTE, self.gathered.data(), ints(bytes),
                   MPI_BYTE, self.comm->mpi, &self.request);
  };
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
  const std::size_t bytes = count * size_of(type_of(type));
  Operation o;
  o.begin = [=](Operation& self) {
    MPI_Issend(data, ints(bytes), MPI_BYTE, peer, kMessageTag, self.comm->mpi, &self.request);
  };
  return add(comm, stream, std::move(o));
}

ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  const std::size_t bytes = count * size_of(type_of(type));
  Operation o;
  o.begin = [=](Operation& self) {
    MPI_Irecv(data, ints(bytes), MPI_BYTE, peer, kMessageTag, self.comm->mpi, &self.request);
  };
  return add(comm, stream, std::move(o));
}

}  // extern "C"
