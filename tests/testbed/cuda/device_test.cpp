// SPDX-License-Identifier: Apache-2.0
// The tests of the device `cuda`, on the emulated GPU.
#include "tests/runtime/cuda_device_test.cpp"
