// SPDX-License-Identifier: Apache-2.0
// The device of each rank of a job: job.device, and on GPUs which one (gpu_choice.hpp).
#pragma once

#include <memory>
#include <string>

#include "runtime/config/job_config.hpp"
#include "runtime/context/context.hpp"
#include "runtime/device/cuda_info.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

struct DeviceOfJob {
  std::unique_ptr<Device> device;
  Gpu gpu{};                  // if it is one
  std::string description{};  // "NVIDIA H200 at 0000:1b:00"; empty on CPUs
  int sharing = 1;            // ranks on a GPU, at most
};

// What job.device asks for, computing as job.precision and job.matmul say. ConfigError where the
// node lacks it, said once. Collective.
DeviceOfJob make_device(const Context& context, const JobConfig& job);

bool has_bfloat16(const Gpu& gpu);  // products on its tensor cores

}  // namespace lockstep
