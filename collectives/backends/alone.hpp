// SPDX-License-Identifier: Apache-2.0
// A group of one rank on a GPU: every operation is a copy, launched and not waited for.
#pragma once

#include <memory>

#include "collectives/backend.hpp"

namespace lockstep::alone {

std::unique_ptr<Backend> make(Device& device, const char* label);

}  // namespace lockstep::alone
