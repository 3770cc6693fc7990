// SPDX-License-Identifier: Apache-2.0
// What this build and this node know of CUDA. Never throws and needs no driver: every error of the
// CUDA runtime means that there is no GPU to use, and is the note.
//
// CMake chooses cuda_info.cpp or cuda_absent.cpp. With a driver the first call starts it: tenths of
// a second.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lockstep {

struct Gpu {
  std::string name;          // "NVIDIA H200"
  std::string address;       // on the PCI bus: the same for every process of the node
  std::string id;            // unique among all GPUs, and among the parts of one
  int major = 0, minor = 0;  // compute capability: 9.0 is Hopper
  std::size_t memory_bytes = 0;
};

struct CudaInfo {
  bool built_in = false;        // this build is linked with the CUDA runtime
  std::string runtime_version;  // of that runtime, "13.0"; empty if not built in
  std::string driver_version;   // the newest runtime that the driver serves; empty without one
  int devices = 0;              // GPUs that this process may use (CUDA_VISIBLE_DEVICES)
  std::string note;             // why there are none; empty if there are some
};

CudaInfo cuda_info();
// Those of cuda_info().devices; without starting anything on them.
std::vector<Gpu> cuda_gpus();

}  // namespace lockstep
