// SPDX-License-Identifier: Apache-2.0
// A backend of the host's memory that serves a GPU's: elements are copied out into page-locked
// memory, travel, and are copied in again. In pieces of some megabytes, so that the copies of one
// piece run beside the travelling of another:
//
//   time   about max(travelling, copying out, copying in) of all, plus one piece of the others
//   memory 3 pieces in and out, page-locked; a message: all of it
//
// Sums are the host's: the same bits as there.
#pragma once

#include <memory>

#include "collectives/backend.hpp"

namespace lockstep::staged {

// Whether the backend below may be handed memory of a GPU where nothing is reduced: an MPI that is
// CUDA-aware. (Its reductions are not always: Open MPI has none that do not block.)
enum class Below : std::uint8_t { host_only, moves_gpu_memory };

std::unique_ptr<Backend> make(std::unique_ptr<Backend> host, Device& device, Below below);

}  // namespace lockstep::staged
