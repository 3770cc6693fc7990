// SPDX-License-Identifier: Apache-2.0
// Every compression by name. One is a file of this folder that defines one CompressionMethod, and a
// line in table.cpp; tests and the job key collectives.compression walk the table.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "collectives/compression/compression.hpp"

namespace lockstep {

struct CompressionMethod {
  const char* name;
  std::unique_ptr<Compression> (*make)(const Communicator& group, Device& device,
                                       const BucketParts& parts, const CompressionOptions& options);
  // Bytes that each of `ranks` sends to sum the bucket once, where the collectives send the least
  // there is: 2(p-1)/p of an all-reduced vector, (p-1)/p of a gathered or exchanged one.
  double (*bytes_sent)(int ranks, const BucketParts& parts, const CompressionOptions& options);
  // What it keeps goes on only with the same options, in words; null: it looks at none.
  std::string (*setting)(const CompressionOptions& options) = nullptr;
  bool delays = false;  // most of a gradient travels in later steps, so that none can be left out
};

std::span<const CompressionMethod* const> compressions();
// "int8", "top_k 0.01"
std::string text_of(const CompressionOptions& options);
// ConfigError of the key collectives.compression lists the known names.
const CompressionMethod& find_compression(const std::string& name);

// For buckets of that group. Collective. In a group of one rank nothing travels, so nothing is
// compressed.
std::unique_ptr<Compression> make_compression(const Communicator& group, Device& device,
                                              const BucketParts& parts,
                                              const CompressionOptions& options);

}  // namespace lockstep
