// SPDX-License-Identifier: Apache-2.0
// How the CPU kernels use threads: one contiguous range per OpenMP thread, none for little work.
// A kernel that sums over ranges combines them in range order, so the same number of threads gives
// the same bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>

#include <omp.h>

namespace lockstep::kernels {

// Threads worth waking for n items of which `grain` are worth one thread.
inline int num_threads_for(std::int64_t n, std::int64_t grain) {
  if (omp_in_parallel()) return 1;
  return static_cast<int>(std::clamp<std::int64_t>(n / grain, 1, omp_get_max_threads()));
}

// body(thread, begin, end) over near-equal contiguous ranges of [0, n). The first exception of a
// thread is thrown when all are done: none may leave an OpenMP region.
template <class Body>
void parallel_ranges(int threads, std::int64_t n, Body&& body) {
  if (threads == 1) return body(0, std::int64_t{0}, n);
  std::exception_ptr error;
#pragma omp parallel num_threads(threads)
  {
    const int t = omp_get_thread_num(), p = omp_get_num_threads();
    try {
      body(t, n * t / p, n * (t + 1) / p);
    } catch (...) {
#pragma omp critical(lockstep_kernel_error)
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

// body(begin, end) over elements: a thread for every 16 Ki of them.
template <class Body>
void parallel_elements(std::int64_t n, Body&& body) {
  parallel_ranges(num_threads_for(n, 16384), n,
                  [&](int, std::int64_t begin, std::int64_t end) { body(begin, end); });
}

}  // namespace lockstep::kernels
