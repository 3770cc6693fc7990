// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/block_cache.hpp"

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;

TEST_CASE("size classes hold what was asked, in whole lines, with little waste", "[unit]") {
  for (std::size_t bytes = 0; bytes < 5000; ++bytes) {
    const std::size_t size = size_class(bytes);
    CHECK((size >= bytes && size % 64 == 0 && size_class(size) == size));
    if (bytes >= 512) CHECK(size - bytes <= bytes / 8);
  }
  const std::size_t large = (std::size_t{1} << 40) + 1;
  CHECK(size_class(large) >= large);
  CHECK(size_class(large) - large <= large / 8);
}

TEST_CASE("a block that came back serves the next of its class", "[unit]") {
  BlockCache cache;
  void* first = cache.take(1000);
  const std::size_t reserved = cache.reserved();
  CHECK(reserved >= 1000);
  cache.give_back(first, 1000);

  void* again = cache.take(size_class(1000));
  CHECK(again == first);
  CHECK(cache.reserved() == reserved);

  void* second = cache.take(1000);  // the first is out
  CHECK(second != first);
  CHECK(cache.reserved() == 2 * reserved);
  cache.give_back(again, 1000);
  cache.give_back(second, 1000);
}

TEST_CASE("blocks are aligned and can be written to their end", "[unit]") {
  BlockCache cache;
  for (std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{65}, std::size_t{9} << 20}) {
    void* block = cache.take(bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % 64 == 0);
    std::memset(block, 1, bytes);
    cache.give_back(block, bytes);
  }
}

TEST_CASE("huge pages begin with the class behind the last without", "[unit]") {
  const std::size_t most = most_without_huge_pages();
  CHECK(size_class(most) == most);
  CHECK(size_class(most + 1) == std::size_t{128} << 10);
}

TEST_CASE("long blocks lie side by side, from the begin of a huge page on", "[unit]") {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  BlockCache cache;
  std::vector<std::pair<std::byte*, std::size_t>> blocks;
  for (const std::size_t bytes :
       {std::size_t{128} << 10, std::size_t{1234567}, 3 * kHugePage, 40 * kHugePage, kHugePage}) {
    auto* block = static_cast<std::byte*>(cache.take(bytes));
    std::memset(block, static_cast<int>(blocks.size()), size_class(bytes));
    blocks.emplace_back(block, size_class(bytes));
  }
  CHECK(reinterpret_cast<std::uintptr_t>(blocks[0].first) % kHugePage == 0);
  CHECK(blocks[1].first == blocks[0].first + blocks[0].second);
  CHECK(blocks[2].first == blocks[1].first + blocks[1].second);
  CHECK(reinterpret_cast<std::uintptr_t>(blocks[3].first) % kHugePage == 0);  // too long for it
  CHECK(blocks[4].first == blocks[2].first + blocks[2].second);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    CHECK(blocks[i].first[0] == std::byte(i));
    CHECK(blocks[i].first[blocks[i].second - 1] == std::byte(i));
    cache.give_back(blocks[i].first, blocks[i].second);
  }
}

TEST_CASE("more than there is: the message names the size and what to change", "[unit]") {
  BlockCache cache;
  const std::size_t bytes = std::size_t{1} << 60;
  const std::string text = test::thrown<SystemError>([&] { cache.take(bytes); });
  CHECK(test::contains(text, std::to_string(bytes >> 20) + " MiB"));
  CHECK(test::contains(text, "batch.micro"));
  CHECK(cache.reserved() == 0);
}
