// SPDX-License-Identifier: Apache-2.0
#include "collectives/compression/table.hpp"

#include "runtime/base/error.hpp"

namespace lockstep {

extern const CompressionMethod compression_bfloat16, compression_float16, compression_int8,
    compression_none, compression_powersgd, compression_top_k;

namespace {

constexpr const CompressionMethod* kCompressions[] = {
    &compression_none, &compression_bfloat16, &compression_float16,
    &compression_int8, &compression_top_k,    &compression_powersgd,
};

}  // namespace

std::string no_parameter(const CompressionOptions&) {
  return "";
}

std::span<const CompressionMethod* const> compressions() {
  return kCompressions;
}

const CompressionMethod& find_compression(const std::string& name) {
  std::string allowed;
  for (const CompressionMethod* method : kCompressions) {
    if (method->name == name) return *method;
    allowed += (allowed.empty() ? "" : ", ") + std::string(method->name);
  }
  throw ConfigError("collectives.compression = \"" + name + "\" is unknown; allowed: " + allowed);
}

std::unique_ptr<Compression> make_compression(const Communicator& group, Device& device,
                                              const BucketParts& parts,
                                              const CompressionOptions& options) {
  const CompressionMethod& method = find_compression(options.method);
  const bool alone = group.size() == 1;
  return (alone ? compression_none : method).make(group, device, parts, options);
}

}  // namespace lockstep
