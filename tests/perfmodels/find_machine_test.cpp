// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/machine/find_machine.hpp"

#include <algorithm>

#include "perfmodels/machine/profile.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"
#include "tests/support/temp_dir.hpp"

using namespace lockstep;

TEST_CASE("every shipped profile is complete, cites its source and says that it is not measured") {
  const auto names = shipped_machines();
  for (const char* name : {"a100", "cpu", "h100"})
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  for (const std::string& name : names) {
    INFO(name);
    const Machine m = find_machine(name);
    CHECK(m.name == name);
    CHECK_FALSE(m.calibrated);
    CHECK(!m.source.empty());
    CHECK(m.memory_bytes > 0);
    CHECK(m.shared.gamma.known());
    CHECK(m.published.known() == (m.device == "cuda"));
    CHECK(m.published.least <= m.published.most);
    REQUIRE(m.find_compute("float32"));
    for (const ComputeProfile& c : m.compute) {
      CHECK(!c.source.empty());
      CHECK(c.peak_flops.value > c.memory_bandwidth.value);
      for (const Figure& f : {c.gemm_efficiency, c.attention_efficiency, c.streaming_efficiency})
        CHECK(f.known());
    }
    for (const char* level : {"inside", "across"}) {
      REQUIRE(m.find_link(level));
      CHECK(!m.find_link(level)->source.empty());
      CHECK(!m.find_link(level)->segments.empty());
    }
  }
}

TEST_CASE("the figures of the datasheets") {
  CHECK(find_machine("a100").find_compute("bfloat16")->peak_flops.value == 312e12);
  CHECK(find_machine("h100").find_compute("bfloat16")->memory_bandwidth.value == 3.35e12);
}

TEST_CASE("a file comes before a name, and what is neither is told what there is") {
  const test::TempDir folder;
  const std::string file = folder.write("mine.toml", "[machine]\nname = 'mine'\n");
  CHECK(find_machine(file).name == "mine");
  CHECK(
      test::config_error([] { find_machine("a10"); }) ==
      "no machine profile 'a10': neither a file nor one of a100, cpu, h100; `lockstep calibrate -o "
      "FILE` measures one");
}
