// SPDX-License-Identifier: Apache-2.0
// What optimizer.kind may be: the names of table.cpp.
#pragma once

#include <span>

namespace lockstep {

std::span<const char* const> optimizer_names();

}  // namespace lockstep
