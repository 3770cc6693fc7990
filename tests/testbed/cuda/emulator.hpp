// SPDX-License-Identifier: Apache-2.0
// Runs kernels on the host: blocks one after another, the threads of a block as fibers that stop at
// barriers and warp operations. What it looks for, and throws SystemError with the line:
//   a barrier or a warp operation that some of its threads never reach, or reach at another line
//   reads of shared memory that nobody wrote (it holds NaN, -1), copies that nobody waits for, and
//   races, by their results: warps, lanes and blocks run in an order that changes
// Accesses outside of memory are the address sanitizer's to find.
#pragma once

#include <cstddef>
#include <functional>

namespace lockstep::emulated {

struct Index {
  unsigned x, y, z;
};
extern Index thread_index, block_index, block_size, grid_size;  // of the fiber that runs

void run_grid(Index grid, Index block, std::size_t shared_bytes, const std::function<void()>& body);

unsigned char* dynamic_shared();
// Memory that is poisoned before every block from now on. Returns true.
bool remember_shared(void* memory, std::size_t bytes);

void barrier(int line);

// A warp operation: when all lanes of the mask are here, the last runs `combine` over what each of
// them passed (by lane; null for those outside of the mask).
using Combine = void (*)(void* const payload[32], unsigned mask);
void together(unsigned mask, void* payload, Combine combine, int line);

// Copies of 16 bytes (zeros unless `valid`) that happen no sooner than the thread waits for them.
void copy_later(void* to, const void* from, bool valid);
void commit_copies();
void wait_for_copies(std::size_t groups);  // until at most so many of the committed are left

}  // namespace lockstep::emulated
