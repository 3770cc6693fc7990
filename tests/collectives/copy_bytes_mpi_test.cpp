// SPDX-License-Identifier: Apache-2.0
// Copies whose ends lie anyhow within their pages, in this process and from another one: the bytes
// are right where another way is taken, too.
#include <memory>
#include <new>
#include <vector>

#include "collectives/copy_bytes.hpp"
#include "collectives/transports/mpi.hpp"
#include "runtime/base/clock.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kSizes[] = {0, 1, 63, 2047, 2048, 2049, 4100, 16384, 16385, 70001};
constexpr std::size_t kPlaces[] = {0, 1, 8, 15, 16, 4095};

// Whole pages, and one more for the places within the first.
std::shared_ptr<std::byte> pages(std::size_t bytes, int fill) {
  constexpr std::align_val_t kAligned{kPage};
  const std::size_t all = (bytes / kPage + 3) * kPage;
  auto* memory = static_cast<std::byte*>(::operator new(all, kAligned));
  std::fill(memory, memory + all, std::byte(fill));
  return {memory, [](std::byte* m) { ::operator delete(m, kAligned); }};
}

std::byte value(std::size_t i) {
  return std::byte(1 + i * 31 % 251);
}

// What lies there, and nothing beside it.
bool holds(const std::byte* at, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    if (at[i] != value(i)) return false;
  }
  return at[bytes] == std::byte(0);
}

}  // namespace

TEST_CASE("a destination a few bytes behind its source within a page is told from others") {
  CHECK(copies_slowly(0x5008, 0x3000, 4096));
  CHECK(copies_slowly(0x1007, 0x2ff8, 4096));  // across the end of a page
  CHECK(copies_slowly(0x300f, 0x3000, 2048));
  CHECK_FALSE(copies_slowly(0x3010, 0x3000, 4096));
  CHECK_FALSE(copies_slowly(0x5000, 0x3000, 4096));
  CHECK_FALSE(copies_slowly(0x3000, 0x5008, 4096));  // before it
  CHECK_FALSE(copies_slowly(0x5008, 0x3000, 1000));
}

TEST_CASE("bytes are copied wherever they lie") {
  for (const std::size_t bytes : kSizes) {
    for (const std::size_t place : kPlaces) {
      const auto from = pages(bytes, 0), to = pages(bytes, 0);
      for (std::size_t i = 0; i < bytes; ++i)
        from.get()[i] = value(i);
      copy_bytes(to.get() + place, from.get(), bytes);
      INFO(bytes << " bytes to " << place);
      CHECK(holds(to.get() + place, bytes));
    }
  }
}

TEST_CASE("messages arrive wherever they lie on both sides") {
  const auto net = make_transport(duplicate(context().world()));
  net->begin(barrier_call(), {now() + 20});
  for (const std::size_t bytes : kSizes) {
    for (const std::size_t place : kPlaces) {
      const auto out = pages(bytes, 0), in = pages(bytes, 0);
      for (std::size_t i = 0; i < bytes; ++i)
        out.get()[i] = value(i);
      const int p = net->size(), me = net->rank();
      net->exchange({out.get(), bytes, DType::uint8}, (me + 1) % p,
                    {in.get() + place, bytes, DType::uint8}, (me + p - 1) % p);
      INFO(bytes << " bytes to " << place);
      CHECK(holds(in.get() + place, bytes));
    }
  }
}
