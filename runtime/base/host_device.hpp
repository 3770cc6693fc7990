// SPDX-License-Identifier: Apache-2.0
// LOCKSTEP_HD marks a function that the host and the device share: elementwise formulas, Philox.
#pragma once

#ifdef __CUDACC__
#define LOCKSTEP_HD __host__ __device__ inline
#else
#define LOCKSTEP_HD inline
#endif
