// SPDX-License-Identifier: Apache-2.0
// NCCL's functions. The library is opened when the first group of several GPUs is made: the program
// starts where it is missing. LOCKSTEP_NCCL_LIBRARY names another file than libnccl.so.2, such as
// the one that PyTorch brings along.
#pragma once

#include <memory>

#include <nccl.h>

#include "runtime/base/error.hpp"
#include "runtime/base/shared_library.hpp"

namespace lockstep::nccl {

class Library {
 public:
  // SystemError where it cannot be opened, or is older than 2.19 (registered buffers).
  static std::shared_ptr<const Library> open();

  // SystemError with NCCL's own text, and what it last said of `comm` (which may be null). What is
  // still under way is no error.
  void check(ncclResult_t code, ncclComm_t comm, Site at = Site::here()) const;

 private:
  explicit Library(const char* file) : library_("NCCL", {file}) {}
  SharedLibrary library_;  // first: what follows is found in it

 public:
  decltype(&ncclGetVersion) get_version =
      library_.find<decltype(&ncclGetVersion)>("ncclGetVersion");
  decltype(&ncclGetErrorString) get_error_string =
      library_.find<decltype(&ncclGetErrorString)>("ncclGetErrorString");
  decltype(&ncclGetLastError) get_last_error =
      library_.find<decltype(&ncclGetLastError)>("ncclGetLastError");
  decltype(&ncclGetUniqueId) get_unique_id =
      library_.find<decltype(&ncclGetUniqueId)>("ncclGetUniqueId");
  decltype(&ncclCommInitRankConfig) init_rank =
      library_.find<decltype(&ncclCommInitRankConfig)>("ncclCommInitRankConfig");
  decltype(&ncclCommSplit) split = library_.find<decltype(&ncclCommSplit)>("ncclCommSplit");
  decltype(&ncclCommFinalize) finalize =
      library_.find<decltype(&ncclCommFinalize)>("ncclCommFinalize");
  decltype(&ncclCommDestroy) destroy = library_.find<decltype(&ncclCommDestroy)>("ncclCommDestroy");
  decltype(&ncclCommAbort) abort = library_.find<decltype(&ncclCommAbort)>("ncclCommAbort");
  decltype(&ncclCommGetAsyncError) get_async_error =
      library_.find<decltype(&ncclCommGetAsyncError)>("ncclCommGetAsyncError");
  decltype(&ncclCommUserRank) user_rank =
      library_.find<decltype(&ncclCommUserRank)>("ncclCommUserRank");
  decltype(&ncclCommCount) count = library_.find<decltype(&ncclCommCount)>("ncclCommCount");
  decltype(&ncclMemAlloc) mem_alloc = library_.find<decltype(&ncclMemAlloc)>("ncclMemAlloc");
  decltype(&ncclMemFree) mem_free = library_.find<decltype(&ncclMemFree)>("ncclMemFree");
  decltype(&ncclCommRegister) register_memory =
      library_.find<decltype(&ncclCommRegister)>("ncclCommRegister");
  decltype(&ncclCommDeregister) deregister_memory =
      library_.find<decltype(&ncclCommDeregister)>("ncclCommDeregister");
  decltype(&ncclAllReduce) all_reduce = library_.find<decltype(&ncclAllReduce)>("ncclAllReduce");
  decltype(&ncclReduceScatter) reduce_scatter =
      library_.find<decltype(&ncclReduceScatter)>("ncclReduceScatter");
  decltype(&ncclAllGather) all_gather = library_.find<decltype(&ncclAllGather)>("ncclAllGather");
  decltype(&ncclBroadcast) broadcast = library_.find<decltype(&ncclBroadcast)>("ncclBroadcast");
  decltype(&ncclReduce) reduce = library_.find<decltype(&ncclReduce)>("ncclReduce");
  decltype(&ncclSend) send = library_.find<decltype(&ncclSend)>("ncclSend");
  decltype(&ncclRecv) receive = library_.find<decltype(&ncclRecv)>("ncclRecv");
  decltype(&ncclGroupStart) group_start =
      library_.find<decltype(&ncclGroupStart)>("ncclGroupStart");
  decltype(&ncclGroupEnd) group_end = library_.find<decltype(&ncclGroupEnd)>("ncclGroupEnd");
};

}  // namespace lockstep::nccl
