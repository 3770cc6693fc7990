// SPDX-License-Identifier: Apache-2.0
// What software a prediction stands for (job.software): what it can run, and what it does otherwise
// than we do. One table; `predict` and `plan` ask it, and device and replay do as it says.
//
//   lockstep       this program
//   megatron-2021  Megatron-LM 2.x (D. Narayanan et al., SC 2021): 1F1B or, on three stages and
//                  more, interleaved; every stage the same number of blocks; of a pipeline all
//                  gradients are summed over data ranks at once, behind the last pass (local DDP);
//                  tensors between stages in parts, one per tensor rank, while nothing is computed
//                  (exchanges.hpp)
//   megatron-2022  with sequence parallelism and selective recomputation (V. Korthikanti et al.,
//                  2022)
//
// Sources: NVIDIA/Megatron-LM: megatron/arguments.py, training.py, schedules.py,
// p2p_communication.py, model/distributed.py; examples/academic_paper_scripts/sc21.
#pragma once

#include <string>

#include "perfmodels/layout.hpp"
#include "perfmodels/message_time.hpp"
#include "runtime/device/dry_policy.hpp"

namespace lockstep {

struct Software {
  const char* name;         // as job.software spells it
  bool others = false;      // has the kernels, messages and cuts of Megatron-LM
  bool korthikanti = true;  // sequence parallelism, selective recomputation
};

// Of a name that the configuration accepts.
const Software& find_software(const std::string& name);

// Why it cannot run a model of so many blocks in this layout, "" if it can.
std::string refusal(const Software& software, const Layout& layout, std::int64_t blocks);
// ConfigError where the job's software cannot run it in its layout.
void expect_runnable(const JobConfig& job, const MeshDegrees& degrees);

// What the dry device stands for.
DryPolicy policy_of(const JobConfig& job);
// How messages are sent between the stages of the job.
MessageKind messages_of(const JobConfig& job);
// As the software would sum its gradients: of a pipeline in one bucket.
JobConfig as_its_software_sums(JobConfig job, const MeshDegrees& degrees);

}  // namespace lockstep
