// SPDX-License-Identifier: Apache-2.0
// What is around the JSON of a manifest: {"checkpoint":JSON,"crc32c":"0a1b2c3d"}
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/crc32c.hpp"

namespace lockstep {

inline constexpr std::string_view kManifestBegin = "{\"checkpoint\":";

// What follows `body`, which is all before it.
inline std::string checksum_of(std::string_view body) {
  return ",\"crc32c\":\"" + crc32c_hex(body) + "\"}\n";
}

}  // namespace lockstep
