// SPDX-License-Identifier: Apache-2.0
// The safetensors reader takes what the writer makes and what the format's documentation shows, and
// refuses every damaged file with a message that names the file and the fault.
#include "runtime/checkpoint/safetensors.hpp"

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace lockstep;

namespace {

std::string file_of(const std::string& header, const std::string& buffer) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + buffer;
}

std::string entry(const std::string& shape, const std::string& offsets,
                  const std::string& dtype = "F32") {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

// The message that opening such a file ends in; without the path, which must be part of it.
std::string refusal(const std::string& bytes) {
  const test::TempDir dir;
  const std::string path = dir.write("damaged", bytes);
  try {
    SafetensorsFile::open(path);
  } catch (const ConfigError& error) {
    const std::string message = error.what();
    CHECK(message.find(path + ": not a valid safetensors file: ") == 0);
    return message.substr(path.size());
  }
  return "opened";
}

void check_refused(const std::string& bytes, const std::string& reason) {
  const std::string message = refusal(bytes);
  INFO("message: " << message << "\nmissing: " << reason);
  CHECK(message.find(reason) != std::string::npos);
}

template <class T>
std::span<const std::byte> look(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

}  // namespace

TEST_CASE("safetensors: what was written is read back", "[unit]") {
  const std::vector<float> weight = {1, -2,     3.5f,
                                     0, 1e-30f, std::numeric_limits<float>::infinity()};
  const std::vector<std::uint8_t> odd = {1, 2, 3};
  const std::vector<std::int32_t> tokens = {7, -8};
  const std::vector<double> scalar = {0.1};
  const NamedBytes tensors[] = {
      {"z.weight", DType::float32, {2, 3}, look(weight)}, {"odd", DType::uint8, {3}, look(odd)},
      {"tokens", DType::int32, {1, 2}, look(tokens)},  // behind odd: not aligned
      {"scalar", DType::float64, {}, look(scalar)},       {"none", DType::float32, {0, 5}, {}},
  };
  const test::TempDir dir;
  write_safetensors(dir.path("file"), tensors, {{"layers", "2"}, {"quote", "\"\\ \xc3\xa9"}});

  const auto read = SafetensorsFile::open(dir.path("file"));

  CHECK(read.names() == std::vector<std::string>{"none", "odd", "scalar", "tokens", "z.weight"});
  CHECK(read.values("z.weight") == weight);
  CHECK(read.values<std::uint8_t>("odd") == odd);
  CHECK(read.values<std::int32_t>("tokens") == tokens);
  CHECK(read.values<double>("scalar") == scalar);
  CHECK(read.values("none").empty());
  CHECK(read.shape("z.weight") == Shape{2, 3});
  CHECK(read.shape("scalar") == Shape{});
  CHECK(read.dtype("tokens") == DType::int32);
  CHECK(read.bytes("z.weight").size() == 24);
  CHECK(reinterpret_cast<std::uintptr_t>(read.bytes("z.weight").data()) % 8 == 0);
  CHECK(read.metadata().at("layers") == "2");
  CHECK(read.metadata().at("quote") == "\"\\ \xc3\xa9");
}

TEST_CASE("safetensors: a file without tensors is a file", "[unit]") {
  const test::TempDir dir;
  for (const std::string header : {"{}", "{}   ", R"({"__metadata__":{"a":"b"}})"}) {
    CHECK(SafetensorsFile::open(dir.write("file", file_of(header, ""))).names().empty());
  }
}

TEST_CASE("safetensors: tensors may stand in any order, empty ones anywhere", "[unit]") {
  const test::TempDir dir;
  const auto read = SafetensorsFile::open(dir.write(
      "file", file_of(R"({"a":)" + entry("[1]", "[4,8]") + R"(,"b":)" + entry("[1]", "[0,4]") +
                          R"(,"c":)" + entry("[0]", "[4,4]") + "}",
                      std::string("\0\0\x80\x3f\0\0\0\x40", 8))));

  CHECK(read.values("a") == std::vector<float>{2});
  CHECK(read.values("b") == std::vector<float>{1});
  CHECK(read.values("c").empty());
}

TEST_CASE("safetensors: asking for the wrong thing says so", "[unit]") {
  const test::TempDir dir;
  const auto read = SafetensorsFile::open(
      dir.write("file", file_of(R"({"a":)" + entry("[1]", "[0,4]") + "}", "1234")));

  CHECK(read.contains("a"));
  CHECK_FALSE(read.contains("b"));
  CHECK_THROWS_AS(read.values("b"), ConfigError);
  CHECK_THROWS_AS(read.shape("b"), ConfigError);
  CHECK_THROWS_AS(read.values<std::int32_t>("a"), ConfigError);
  CHECK_THROWS_AS(SafetensorsFile::open(dir.path("absent")), ConfigError);
  CHECK_THROWS_AS(SafetensorsFile::open("/"), ConfigError);
}

TEST_CASE("safetensors: every damaged file is refused with the fault", "[unit]") {
  const std::string good = file_of(R"({"a":)" + entry("[2]", "[0,8]") + "}", "12345678");
  const auto one = [](const std::string& item, const std::string& buffer = "12345678") {
    return file_of(R"({"a":)" + item + "}", buffer);
  };
  const auto two = [](const std::string& first, const std::string& second) {
    return file_of(R"({"a":)" + first + R"(,"b":)" + second + "}", "12345678");
  };
  REQUIRE(refusal(good) == "opened");

  SECTION("truncated") {
    for (std::size_t keep = 0; keep < good.size(); ++keep) {
      INFO("bytes kept: " << keep);
      CHECK(refusal(good.substr(0, keep)) != "opened");
    }
    check_refused("", "shorter than a header length");
    check_refused(good.substr(0, 20), "announces a header");
    check_refused(good.substr(0, good.size() - 1), "end at byte 8, its buffer at byte 7");
  }
  SECTION("header length") {
    check_refused(std::string(8, '\xff') + good.substr(8), "announces a header");
    check_refused(file_of("", ""), "not a JSON object");
  }
  SECTION("JSON") {
    check_refused(file_of("{\"a\":", ""), "not a JSON object");
    check_refused(file_of("[]", ""), "not a JSON object");
    check_refused(file_of("{} {}", ""), "not a JSON object");
    check_refused(file_of("{\"\xff\":1}", ""), "not a JSON object");
    check_refused(file_of(std::string(100000, '['), ""), "not a JSON object");
    check_refused(one("3"), "'a': it has no dtype");
    check_refused(one(R"({"dtype":"F32","shape":[2]})"), "no data_offsets");
    check_refused(one(entry("[2]", "[0,8]", "F31")), "dtype is none of");
    check_refused(file_of(R"({"__metadata__":{"a":1}})", ""), "'a' is not a string");
    check_refused(file_of(R"({"__metadata__":"x"})", ""), "not an object");
  }
  SECTION("shape") {
    check_refused(one(entry("[3]", "[0,8]")), "span 8 bytes, not shape [3] of float32");
    check_refused(one(entry("[-2]", "[0,8]")), "shape is not a list of whole numbers");
    check_refused(one(entry("[2.0]", "[0,8]")), "shape is not a list of whole numbers");
    check_refused(one(entry("[1,1,1,1,1,2]", "[0,8]")), "6 dims");
    // 4 * 2^62 * 2 = 2^65 wraps to 0, 2^63 is negative as a dim.
    check_refused(one(entry("[4611686018427387904,2]", "[0,0]"), ""), "more than 2^63");
    check_refused(one(entry("[9223372036854775808,0]", "[0,0]"), ""), "more than 2^63");
  }
  SECTION("offsets") {
    check_refused(one(entry("[2]", "[8,0]")), "not a begin and an end");
    check_refused(one(entry("[2]", "[0,8,8]")), "not a begin and an end");
    check_refused(one(entry("[2]", "[0,-8]")), "not a list of whole numbers");
    check_refused(one(entry("[2]", "[18446744073709551608,18446744073709551616]")),
                  "not a list of whole numbers");
    check_refused(one(entry("[2]", "[18446744073709551607,18446744073709551615]")),
                  "begins at byte 18446744073709551607");
    check_refused(one(entry("[4]", "[0,16]")), "end at byte 16, its buffer at byte 8");
  }
  SECTION("tiling") {
    check_refused(two(entry("[1]", "[0,4]"), entry("[1]", "[0,4]")), "'b': it begins at byte 0");
    check_refused(two(entry("[2]", "[0,8]"), entry("[1]", "[4,8]")), "'b': it begins at byte 4");
    check_refused(one(entry("[1]", "[4,8]")), "'a': it begins at byte 4");
    check_refused(one(entry("[1]", "[0,4]")), "end at byte 4, its buffer at byte 8");
    check_refused(file_of("{}", "12345678"), "end at byte 0, its buffer at byte 8");
  }
}

TEST_CASE("safetensors: a file that cannot be written is an error", "[unit]") {
  CHECK_THROWS_AS(write_safetensors("/dev/full", {}, {}), SystemError);
  CHECK_THROWS_AS(write_safetensors("/nonexistent/folder/file", {}, {}), SystemError);
}
