// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/crc32c.hpp"

#include <array>
#include <cstring>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // reflected

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[k][b]: byte b with k zero bytes behind it.
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ (crc & 1 ? kPolynomial : 0);
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b)
      tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 255];
  }
  return tables;
}

constexpr Tables kTables = make_tables();

std::uint32_t byte_by_table(std::uint32_t crc, std::byte b) {
  return (crc >> 8) ^ kTables[0][(crc ^ static_cast<std::uint32_t>(b)) & 255];
}

std::uint32_t word_by_table(std::uint32_t crc, std::uint64_t word) {
  word ^= crc;
  std::uint32_t result = 0;
  for (std::size_t k = 0; k < 8; ++k)
    result ^= kTables[7 - k][(word >> (8 * k)) & 255];
  return result;
}

template <class Word, class Byte>
std::uint32_t checksum(std::span<const std::byte> bytes, std::uint32_t before, Word word,
                       Byte byte) {
  std::uint32_t crc = ~before;
  while (bytes.size() >= 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, bytes.data(), 8);
    crc = word(crc, eight);
    bytes = bytes.subspan(8);
  }
  for (const std::byte b : bytes)
    crc = byte(crc, b);
  return ~crc;
}

}  // namespace

std::uint32_t crc32c_by_table(std::span<const std::byte> bytes, std::uint32_t before) {
  return checksum(bytes, before, word_by_table, byte_by_table);
}

#if defined(__SSE4_2__)
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
  const auto word = [](std::uint32_t crc, std::uint64_t eight) {
    return static_cast<std::uint32_t>(_mm_crc32_u64(crc, eight));
  };
  const auto byte = [](std::uint32_t crc, std::byte b) {
    return _mm_crc32_u8(crc, static_cast<unsigned char>(b));
  };
  return checksum(bytes, before, word, byte);
}
#else
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
  return crc32c_by_table(bytes, before);
}
#endif

std::string crc32c_hex(std::string_view text) {
  return format("%08x", crc32c(std::as_bytes(std::span(text.data(), text.size()))));
}

}  // namespace lockstep
