// SPDX-License-Identifier: Apache-2.0
// The tests of compression's kernels, on the emulated GPU.
#include "tests/runtime/cuda_compression_kernels_test.cpp"
