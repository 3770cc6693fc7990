// SPDX-License-Identifier: Apache-2.0
// Operations of the fake NCCL: collected until their group is closed, then one item of its stream,
// which is asked until all of them are done.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include <mpi.h>

#include "tests/testbed/nccl/fake_gpu.hpp"

struct ncclComm {
  MPI_Comm mpi = MPI_COMM_NULL;
  int rank = 0, size = 1;
  int polls = 0;  // that still find something in progress
  bool aborted = false;
  bool finalized = false;
};

namespace lockstep::fake {

constexpr int kPolls = 1;  // of whatever does not block

// One operation of a group: started when the group's turn comes, then asked until it is done.
struct Operation {
  ncclComm* comm = nullptr;
  std::function<void(Operation&)> begin, end;
  std::vector<std::byte> gathered, given;
  MPI_Request request = MPI_REQUEST_NULL;
  bool over = false;

  bool done();
};

// To the group that is open; a group of its own if none is. The errors are NCCL's: the communicator
// is still busy, or was ended.
ncclResult_t add(ncclComm* comm, cudaStream_t stream, Operation operation);

void begin_group();
ncclResult_t end_group();
bool in_group();

}  // namespace lockstep::fake
