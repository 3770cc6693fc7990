// SPDX-License-Identifier: Apache-2.0
// Training steps on the emulated GPU.
#include "tests/models/gpu_training_test.cpp"
