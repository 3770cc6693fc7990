// SPDX-License-Identifier: Apache-2.0
// Communicators of the fake NCCL: each has one of MPI, made without blocking, and memory that is
// registered with it.
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "tests/testbed/nccl/fake_operations.hpp"

namespace lockstep::fake {
namespace {

struct Counts {
  int registered = 0, aborted = 0, communicators = 0;
} counts;
ncclResult_t async_error = ncclSuccess;

constexpr int kMeetingTag = 20000;

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

using namespace lockstep::fake;

extern "C" {

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
  if (in_group()) std::abort();  // the group holds it
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

}  // extern "C"
