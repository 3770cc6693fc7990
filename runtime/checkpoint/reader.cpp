// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/reader.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/base/crc32c.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/tensor/transfer.hpp"

namespace lockstep {

namespace {

const StoredState* find_state(const StoredPiece& piece, const std::string& kind) {
  for (const StoredState& s : piece.states) {
    if (s.kind == kind) return &s;
  }
  return nullptr;
}

std::uint64_t begin_of_data(const Shard& shard) {
  std::uint64_t begin = shard.bytes;
  for (const StoredPiece& piece : shard.pieces) {
    for (const StoredState& s : piece.states)
      begin = std::min(begin, s.offset);
  }
  return begin;
}

std::string text_of(const Dims& dims) {
  return Shape(dims).text();
}

}  // namespace

CheckpointReader::CheckpointReader(const std::string& directory, const Manifest& manifest)
    : directory_(directory), manifest_(manifest), open_(manifest.shards.size()) {
  for (std::size_t s = 0; s < manifest.shards.size(); ++s) {
    const auto& pieces = manifest.shards[s].pieces;
    for (std::size_t p = 0; p < pieces.size(); ++p)
      places_[pieces[p].name].push_back({s, p});
  }
}

void CheckpointReader::read(std::vector<HeldPiece>& pieces) {
  for (HeldPiece& piece : pieces) {
    for (HeldState& state : piece.states)
      read_state(state, piece, places_[piece.name]);
  }
}

void CheckpointReader::read_state(HeldState& state, const HeldPiece& piece,
                                  const std::vector<Place>& places) {
  const DType dtype = state.tensor.dtype();
  const std::size_t size = size_of(dtype);
  std::vector<std::byte> host(state.tensor.bytes());
  std::int64_t found = 0;
  for (const Place& place : places) {
    const StoredPiece& stored = manifest_.shards[place.shard].pieces[place.piece];
    const StoredState* source = find_state(stored, state.kind);
    if (!source) continue;
    for (const RowCopy& copy : copies_between(piece.region, stored.region)) {
      if (source->dtype != dtype) {
        throw ConfigError(format("%s: %s of %s is %s, %s is needed", directory_.c_str(),
                                 state.kind.c_str(), piece.name.c_str(), name_of(source->dtype),
                                 name_of(dtype)));
      }
      const std::size_t bytes = static_cast<std::size_t>(copy.columns) * size;
      for (std::int64_t r = 0; r < copy.rows; ++r) {
        const std::uint64_t from =
            source->offset + static_cast<std::uint64_t>(copy.from + r * copy.from_stride) * size;
        check_range(place.shard, from, from + bytes);
        std::memcpy(host.data() + static_cast<std::size_t>(copy.to + r * copy.to_stride) * size,
                    opened(place.shard).file.bytes().data() + from, bytes);
      }
      found += copy.rows * copy.columns;
    }
  }
  if (found != count_of(piece.region)) {
    throw ConfigError(format("%s: holds %lld of %lld elements that are needed of %s of %s",
                             directory_.c_str(), static_cast<long long>(found),
                             static_cast<long long>(count_of(piece.region)), state.kind.c_str(),
                             piece.name.c_str()));
  }
  if (!host.empty()) upload(state.tensor, host.data(), host.size());
}

void CheckpointReader::check_header(std::size_t shard) {
  check_range(shard, 0, begin_of_data(manifest_.shards[shard]));
}

void CheckpointReader::check_all(std::size_t shard) {
  check_range(shard, 0, manifest_.shards[shard].bytes);
}

void CheckpointReader::check_range(std::size_t shard, std::uint64_t begin, std::uint64_t end) {
  const Shard& s = manifest_.shards[shard];
  Open& open = opened(shard);
  for (std::uint64_t chunk = begin / s.chunk_bytes; chunk * s.chunk_bytes < end; ++chunk) {
    if (open.checked[chunk]) continue;
    const std::uint64_t first = chunk * s.chunk_bytes;
    const auto bytes = open.file.bytes().subspan(first, std::min(s.chunk_bytes, s.bytes - first));
    if (crc32c(bytes) != s.crc32c[chunk]) {
      throw ConfigError(format("%s/%s: bytes %llu to %llu are not what was written: it is damaged",
                               directory_.c_str(), s.file.c_str(),
                               static_cast<unsigned long long>(first),
                               static_cast<unsigned long long>(first + bytes.size())));
    }
    open.checked[chunk] = true;
    bytes_read_ += bytes.size();
  }
}

CheckpointReader::Open& CheckpointReader::opened(std::size_t shard) {
  if (!open_[shard]) {
    const Shard& s = manifest_.shards[shard];
    const std::string path = directory_ + "/" + s.file;
    MappedFile file = MappedFile::open(path);
    if (file.bytes().size() != s.bytes) {
      throw ConfigError(format("%s: has %zu bytes, the manifest says %llu: it is damaged",
                               path.c_str(), file.bytes().size(),
                               static_cast<unsigned long long>(s.bytes)));
    }
    open_[shard].emplace(Open{std::move(file), std::vector<bool>(s.crc32c.size())});
  }
  return *open_[shard];
}

void expect_same_model(const Manifest& manifest, const std::map<std::string, Dims>& parameters) {
  for (const auto& [name, dims] : parameters) {
    const auto found = manifest.parameters.find(name);
    if (found == manifest.parameters.end()) {
      throw ConfigError("the checkpoint has no " + name + ", which is " + text_of(dims) +
                        " in this model: it is another model's");
    }
    if (found->second != dims) {
      throw ConfigError(name + " is " + text_of(found->second) + " in the checkpoint, but " +
                        text_of(dims) + " in this model: it is another model's");
    }
  }
  for (const auto& [name, dims] : manifest.parameters) {
    if (parameters.count(name)) continue;
    throw ConfigError("the checkpoint has " + name + " " + text_of(dims) +
                      ", which this model does not have: it is another model's");
  }
}

}  // namespace lockstep
