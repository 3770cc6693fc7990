// SPDX-License-Identifier: Apache-2.0
// base: errors, handles, element types, random numbers, files.
#include <array>
#include <set>
#include <utility>
#include <vector>

#include <fcntl.h>

#include "runtime/base/clock.hpp"
#include "runtime/base/dtype.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/handle.hpp"
#include "runtime/base/philox.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/scratch.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;
using test::contains;
using test::thrown;

namespace {

std::vector<int> destroyed;

struct NumberTraits {
  using type = int;
  static int null() { return -1; }
  static void destroy(int number) noexcept { destroyed.push_back(number); }
};
using Number = UniqueHandle<NumberTraits>;

std::array<std::uint32_t, 4> words(const PhiloxBlock& b) {
  return {b.word[0], b.word[1], b.word[2], b.word[3]};
}

}  // namespace

TEST_CASE("expect says where it stands and that it is our bug", "[unit]") {
  CHECK_NOTHROW(expect(true, "fine"));
  const std::string text = thrown<LogicError>([] { expect(false, "ranks differ"); });
  CHECK(contains(text, "base_test.cpp:"));
  CHECK(contains(text, "ranks differ"));
  CHECK(contains(text, "bug in Lockstep"));
}

TEST_CASE("throw_errno carries the system's own words", "[unit]") {
  errno = ENOENT;
  CHECK(thrown<SystemError>([] { throw_errno("cannot open x"); }) ==
        "cannot open x: No such file or directory");
}

TEST_CASE("a handle destroys what it owns once, and never nothing", "[unit]") {
  destroyed.clear();
  {
    Number nothing, a(1), b(2);
    Number moved(std::move(a));
    CHECK(moved.get() == 1);
    CHECK(a.get() == -1);
    b = std::move(moved);  // exchanges: 2 lives until `moved` ends
    CHECK(b.get() == 1);
  }
  CHECK(std::multiset<int>(destroyed.begin(), destroyed.end()) == std::multiset<int>{1, 2});
}

TEST_CASE("element types know their size and name", "[unit]") {
  CHECK(size_of(dtype_of<float>()) == sizeof(float));
  CHECK(size_of(dtype_of<double>()) == sizeof(double));
  CHECK(size_of(dtype_of<std::int64_t>()) == sizeof(std::int64_t));
  CHECK(size_of(DType::bfloat16) == 2);
  CHECK(std::string(name_of(DType::float32)) == "float32");
  CHECK(std::string(name_of(DType::uint8)) == "uint8");
}

// The known answers of Random123 (kat_vectors, philox4x32 10).
TEST_CASE("philox gives the published numbers", "[unit]") {
  using Words = std::array<std::uint32_t, 4>;
  CHECK(words(philox(0, 0, 0)) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint64_t ones = ~std::uint64_t{0};
  CHECK(words(philox(ones, ones, ones)) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(words(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e)) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform01 stays in [0, 1)", "[unit]") {
  CHECK(uniform01(0) == 0.0f);
  CHECK(uniform01(0xffffffff) < 1.0f);
  CHECK(uniform01(0x80000000) == 0.5f);
}

TEST_CASE("purposes, indices and seeds have keys of their own", "[unit]") {
  std::set<std::uint64_t> keys;
  for (std::uint64_t seed : {0, 1, 2}) {
    for (RandomPurpose purpose : {RandomPurpose::weights, RandomPurpose::dropout,
                                  RandomPurpose::data_order, RandomPurpose::sampling}) {
      for (std::uint64_t index : {0, 1, 2, 1000})
        keys.insert(random_key(seed, purpose, index));
    }
  }
  CHECK(keys.size() == 3 * 4 * 4);
}

TEST_CASE("the clock does not go back", "[unit]") {
  const double before = now();
  CHECK(now() >= before);
}

TEST_CASE("write_file replaces a file as a whole and leaves nothing else", "[unit]") {
  const test::ScratchFolder folder;
  const std::string path = folder / "a.txt";
  write_file(path, "first, and longer");
  write_file(path, "second");
  CHECK(test::read_text(path) == "second");
  CHECK(folder.num_files() == 1);
}

TEST_CASE("a file that cannot be written is named, and nothing is left", "[unit]") {
  const test::ScratchFolder folder;
  const std::string nowhere = folder / "missing/a.txt";
  CHECK(contains(thrown<SystemError>([&] { write_file(nowhere, "text"); }), nowhere));

  const FileHandle full = open_file("/dev/full", O_WRONLY);
  const std::string text =
      thrown<SystemError>([&] { write_all(full, "text", "runs/metrics.jsonl"); });
  CHECK(contains(text, "runs/metrics.jsonl: No space left on device"));
  CHECK(contains(text, "free some space"));

  // The name is taken by a folder: the finished draft cannot take its place, and goes.
  std::filesystem::create_directory(folder / "b");
  std::filesystem::create_directory(folder / "b/c");
  CHECK(contains(thrown<SystemError>([&] { write_file(folder / "b", "text"); }), folder / "b"));
  CHECK(folder.num_files() == 1);
}
