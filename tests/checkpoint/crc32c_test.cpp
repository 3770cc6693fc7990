// SPDX-License-Identifier: Apache-2.0
// CRC-32C against published values (RFC 3720, B.4), with and without the instruction.
#include "runtime/base/crc32c.hpp"

#include <string>
#include <vector>

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

}  // namespace

TEST_CASE("checksums are the published ones") {
  std::string rising;
  for (char c = 0; c < 32; ++c)
    rising += c;
  const std::pair<std::string, std::uint32_t> known[] = {
      {"", 0},
      {"123456789", 0xE3069283},
      {std::string(32, '\0'), 0x8A9136AA},
      {std::string(32, '\xff'), 0x62A8AB43},
      {rising, 0x46DD794E},
  };
  for (const auto& [text, sum] : known) {
    CHECK(crc32c(bytes_of(text)) == sum);
    CHECK(crc32c_by_table(bytes_of(text)) == sum);
  }
}

TEST_CASE("a checksum goes on where another ended") {
  const auto bytes = bytes_of("a text of more than eight bytes, and not of whole words");
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const auto all = std::span(bytes);
    CHECK(crc32c(all.subspan(cut), crc32c(all.first(cut))) == crc32c_by_table(all));
  }
}
