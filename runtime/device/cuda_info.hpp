// SPDX-License-Identifier: Apache-2.0
// What this build and this node know of CUDA. Never throws and needs no driver: every error of the
// CUDA runtime means that there is no GPU to use, and is the note.
//
// CMake chooses cuda_info.cpp or cuda_absent.cpp. With a driver the first call starts it: tenths of
// a second.
#pragma once

#include <string>

namespace lockstep {

struct CudaInfo {
  bool built_in = false;        // this build is linked with the CUDA runtime
  std::string runtime_version;  // of that runtime, "13.0"; empty if not built in
  int devices = 0;              // GPUs that this process may use
  std::string note;             // why there are none; empty if there are some
};

CudaInfo cuda_info();

}  // namespace lockstep
