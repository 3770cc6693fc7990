// SPDX-License-Identifier: Apache-2.0
// The tests of the GPU's kernels, on the emulated GPU.
#include "tests/runtime/cuda_kernels_test.cpp"
