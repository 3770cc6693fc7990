// SPDX-License-Identifier: Apache-2.0
// The manifest of a checkpoint: as it comes, and with a right checksum put behind it, so that what
// lies beyond the checksum is reached. An accepted one reads back to itself; so does each shard.
#include "runtime/checkpoint/manifest.hpp"

#include "runtime/base/crc32c.hpp"
#include "tests/fuzz/outcome.hpp"

using namespace lockstep;

namespace {

void parse(const std::string& text) {
  Manifest manifest;
  if (!fuzz::accepted([&] { manifest = parse_manifest(text); })) return;
  fuzz::expect(parse_manifest(to_text(manifest)) == manifest);
  for (const Shard& shard : manifest.shards)
    fuzz::expect(parse_shard(to_text(shard)) == shard);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text = fuzz::text_of(data, size);
  parse(text);
  const std::string head = "{\"checkpoint\":" + text;
  parse(head + ",\"crc32c\":\"" + crc32c_hex(head) + "\"}\n");
  return 0;
}
