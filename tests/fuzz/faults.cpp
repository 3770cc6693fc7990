// SPDX-License-Identifier: Apache-2.0
#include "runtime/failures/faults.hpp"

#include "tests/fuzz/outcome.hpp"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text = fuzz::text_of(data, size);
  fuzz::accepted([&] {
    const Fault fault = parse_fault(text);
    fuzz::expect(fault.rank >= 0 && fault.step >= 1 && fault.steps >= 0);
    fuzz::expect(fault.seconds >= 0 && fault.factor >= 1);
  });
  return 0;
}
