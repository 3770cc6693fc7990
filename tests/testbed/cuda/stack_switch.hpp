// SPDX-License-Identifier: Apache-2.0
// From one stack to another: some ten instructions on x86-64, swapcontext and its two system calls
// elsewhere. CMake chooses the file.
#pragma once

#include <cstddef>

namespace lockstep::emulated {

// A stack that begins with entry(), which must never return.
void* prepare_stack(void* lowest, std::size_t bytes, void (*entry)());

// Saves where the caller stands in `from` and goes on at `to`.
void switch_stack(void** from, void* to);

}  // namespace lockstep::emulated
