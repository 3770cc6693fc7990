// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli), the checksum of iSCSI and ext4: finds every error of up to 32 neighbouring
// bits, so every flipped bit. 8 bytes in 3 cycles where the processor knows it (SSE 4.2), else 8
// bytes with eight look-ups.
//
// G. Castagnoli et al., IEEE Trans. Communications 41(6), 1993; RFC 3720, appendix B.4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lockstep {

// Of `before` (the checksum of what came first; 0: nothing) and these bytes.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);
// The same without the instruction.
std::uint32_t crc32c_by_table(std::span<const std::byte> bytes, std::uint32_t before = 0);

std::string crc32c_hex(std::string_view text);  // "0a1b2c3d"

}  // namespace lockstep
