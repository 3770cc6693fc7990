// SPDX-License-Identifier: Apache-2.0
#include "tests/testbed/nccl/fake_operations.hpp"

#include <memory>
#include <utility>

namespace lockstep::fake {
namespace {

ncclResult_t next_launch = ncclSuccess, next_call = ncclSuccess;
std::vector<cudaStream_t> launched;

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

}  // namespace

bool Operation::done() {
  if (over) return true;
  int finished = 0;
  MPI_Test(&request, &finished, MPI_STATUS_IGNORE);
  if (!finished) return false;
  if (end) end(*this);
  return over = true;
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

void begin_group() {
  ++depth;
}
ncclResult_t end_group() {
  return --depth == 0 ? close_group() : ncclSuccess;
}
bool in_group() {
  return depth > 0;
}

std::vector<cudaStream_t> launches() {
  const auto lock = locked();
  return launched;
}
void forget_launches() {
  const auto lock = locked();
  launched.clear();
}
void fail_next_launch(ncclResult_t error) {
  next_launch = error;
}
void fail_next_call(ncclResult_t error) {
  next_call = error;
}
}  // namespace lockstep::fake
