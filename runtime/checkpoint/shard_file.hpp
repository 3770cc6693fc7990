// SPDX-License-Identifier: Apache-2.0
// The file of one rank in a checkpoint: safetensors, written with a checksum of every chunk.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "runtime/checkpoint/manifest.hpp"

namespace lockstep {

std::string shard_name(int rank);  // "shard-00003.safetensors"

// A chunk is what is read to check any byte of it: 1 MiB, more where a file would have over 1024.
std::uint64_t chunk_bytes_of(std::uint64_t file_bytes);

// Writes DIRECTORY/FILE and flushes it to the disk; the pieces are still to be filled in. What
// could not be written is taken away again.
Shard write_shard(const std::string& directory, const std::string& file, const std::string& header,
                  std::span<const std::byte> bytes);

}  // namespace lockstep
