// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/machine/profile.hpp"
#include "tests/fuzz/outcome.hpp"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  Machine machine;
  const std::string text = fuzz::text_of(data, size);
  if (!fuzz::accepted([&] { machine = parse_machine(text, "machine.toml"); })) return 0;
  const std::string written = to_toml(machine);
  fuzz::expect(to_toml(parse_machine(written, "written")) == written);
  return 0;
}
