// SPDX-License-Identifier: Apache-2.0
// This machine, whatever it is.
#include "runtime/context/topology.hpp"

#include <thread>

#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("the hardware is described without contradictions", "[unit]") {
  const Hardware h = Topology().hardware();
  CHECK(h.packages >= 1);
  CHECK(h.cores >= h.packages);
  CHECK(h.threads >= h.cores);
  CHECK(h.numa_nodes >= 1);
  CHECK(h.memory_bytes > (std::uint64_t{1} << 28));
  for (const Cache& cache : h.caches)
    CHECK((cache.level >= 1 && cache.count >= 1));
}

TEST_CASE("a process that binds itself, and its new threads, stay on those cores", "[unit]") {
  const Topology topology;
  const CoreSet before = topology.allowed_cores();
  REQUIRE_FALSE(before.empty());
  const CoreSet last{before.back()};
  if (!topology.bind(last)) {
    WARN("this system refuses binding");
    return;
  }
  CHECK(topology.allowed_cores() == last);
  CoreSet of_thread;
  std::thread([&] { of_thread = topology.allowed_cores(); }).join();
  CHECK(of_thread == last);
}
