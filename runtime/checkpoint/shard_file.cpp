// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/shard_file.hpp"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

#include "runtime/base/crc32c.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kMostChunks = 1024;

// Writes what comes, chunk by chunk.
class ChunkWriter {
 public:
  ChunkWriter(std::string path, Shard& shard)
      : path_(std::move(path)),
        shard_(shard),
        file_(open_file(path_, O_WRONLY | O_CREAT | O_TRUNC)) {}

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::uint64_t in_chunk = shard_.bytes % shard_.chunk_bytes;
      const auto part =
          bytes.first(std::min<std::uint64_t>(bytes.size(), shard_.chunk_bytes - in_chunk));
      if (in_chunk == 0) shard_.crc32c.push_back(0);
      shard_.crc32c.back() = crc32c(part, shard_.crc32c.back());
      write_all(file_, {reinterpret_cast<const char*>(part.data()), part.size()}, path_);
      shard_.bytes += part.size();
      bytes = bytes.subspan(part.size());
    }
  }

  void flush() const {
    if (fsync(file_.get()) != 0) throw_errno("cannot flush " + path_);
  }

 private:
  std::string path_;
  Shard& shard_;
  FileHandle file_;
};

}  // namespace

std::string shard_name(int rank) {
  return format("shard-%05d.safetensors", rank);
}

std::uint64_t chunk_bytes_of(std::uint64_t file_bytes) {
  return kMiB *
         std::max<std::uint64_t>(1, (file_bytes + kMostChunks * kMiB - 1) / (kMostChunks * kMiB));
}

Shard write_shard(const std::string& directory, const std::string& file, const std::string& header,
                  std::span<const std::byte> bytes) {
  const std::string path = directory + "/" + file;
  Shard shard;
  shard.file = file;
  shard.chunk_bytes = chunk_bytes_of(header.size() + bytes.size());
  try {
    ChunkWriter writer(path, shard);
    writer.write(std::as_bytes(std::span(header)));
    writer.write(bytes);
    writer.flush();
  } catch (const SystemError&) {
    unlink(path.c_str());
    throw;
  }
  return shard;
}

}  // namespace lockstep
