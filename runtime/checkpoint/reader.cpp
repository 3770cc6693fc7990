// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/reader.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "runtime/base/crc32c.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/half.hpp"
#include "runtime/tensor/transfer.hpp"

namespace lockstep {

namespace {

const StoredState* find_state(const StoredPiece& piece, const std::string& kind) {
  for (const StoredState& s : piece.states) {
    if (s.kind == kind) return &s;
  }
  return nullptr;
}

// What the state is read from: a run may compute in another precision than the one that wrote.
const StoredState* source_of(const StoredPiece& piece, const std::string& kind, DType dtype) {
  const StoredState* same = find_state(piece, kind);
  if (!is_weight(kind) || (same && same->dtype == dtype)) return same;
  const StoredState* master = find_state(piece, kMaster);
  return master ? master : find_state(piece, kValue);
}

template <class To, class From>
void convert_row(std::byte* to, const std::byte* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    From x;
    std::memcpy(&x, from + static_cast<std::size_t>(i) * sizeof x, sizeof x);
    const To y(static_cast<float>(x));
    std::memcpy(to + static_cast<std::size_t>(i) * sizeof y, &y, sizeof y);
  }
}

template <std::size_t kBytes>
void copy_row(std::byte* to, const std::byte* from, std::int64_t count) {
  std::memcpy(to, from, static_cast<std::size_t>(count) * kBytes);
}

// Null where the types do not convert.
using RowCopier = void (*)(std::byte*, const std::byte*, std::int64_t);
RowCopier copier_of(DType to, DType from) {
  const auto is = [&](DType a, DType b) { return to == a && from == b; };
  if (is(DType::float32, DType::float32)) return copy_row<sizeof(float)>;
  if (is(DType::float32, DType::bfloat16)) return convert_row<float, BFloat16>;
  if (is(DType::bfloat16, DType::float32)) return convert_row<BFloat16, float>;
  if (is(DType::bfloat16, DType::bfloat16)) return copy_row<sizeof(BFloat16)>;
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
  std::vector<std::byte> host(state.tensor.bytes());
  std::int64_t found = 0;
  for (const Place& place : places)
    found += read_place(host, state, piece, place);
  if (found != count_of(piece.region)) {
    throw ConfigError(format("%s: holds %lld of %lld elements that are needed of %s of %s",
                             directory_.c_str(), static_cast<long long>(found),
                             static_cast<long long>(count_of(piece.region)), state.kind.c_str(),
                             piece.name.c_str()));
  }
  if (!host.empty()) upload(state.tensor, host.data(), host.size());
}

std::int64_t CheckpointReader::read_place(std::vector<std::byte>& host, const HeldState& state,
                                          const HeldPiece& piece, const Place& place) {
  const StoredPiece& stored = manifest_.shards[place.shard].pieces[place.piece];
  const DType dtype = state.tensor.dtype();
  const StoredState* source = source_of(stored, state.kind, dtype);
  if (!source) return 0;
  const RowCopier copier = copier_of(dtype, source->dtype);
  if (!copier) {
    throw ConfigError(format("%s: %s of %s is %s, %s is needed", directory_.c_str(),
                             state.kind.c_str(), piece.name.c_str(), name_of(source->dtype),
                             name_of(dtype)));
  }
  const std::size_t from_size = size_of(source->dtype), to_size = size_of(dtype);
  std::int64_t found = 0;
  for (const RowCopy& copy : copies_between(piece.region, stored.region)) {
    for (std::int64_t r = 0; r < copy.rows; ++r) {
      const std::uint64_t from =
          source->offset + static_cast<std::uint64_t>(copy.from + r * copy.from_stride) * from_size;
      check_range(place.shard, from, from + static_cast<std::size_t>(copy.columns) * from_size);
      copier(host.data() + static_cast<std::size_t>(copy.to + r * copy.to_stride) * to_size,
             opened(place.shard).file.bytes().data() + from, copy.columns);
    }
    found += copy.rows * copy.columns;
  }
  return found;
}

bool CheckpointReader::holds_own(std::size_t shard, const std::vector<HeldState>& own) const {
  if (shard >= manifest_.shards.size()) return false;
  const std::vector<OwnState>& stored = manifest_.shards[shard].own;
  return std::equal(own.begin(), own.end(), stored.begin(), stored.end(),
                    [](const HeldState& h, const OwnState& s) {
                      return h.kind == s.name && h.tensor.count() == s.count &&
                             h.tensor.dtype() == s.dtype;
                    });
}

void CheckpointReader::read_own(std::size_t shard, std::vector<HeldState>& own) {
  for (std::size_t i = 0; i < own.size(); ++i) {
    const std::uint64_t begin = manifest_.shards[shard].own[i].offset;
    const std::size_t bytes = own[i].tensor.bytes();
    check_range(shard, begin, begin + bytes);
    upload(own[i].tensor, opened(shard).file.bytes().data() + begin, bytes);
  }
}

std::vector<std::size_t> CheckpointReader::shards_of(const std::vector<HeldPiece>& pieces) const {
  std::set<std::size_t> all;
  for (const HeldPiece& piece : pieces) {
    const auto places = places_.find(piece.name);
    if (places == places_.end()) continue;
    for (const Place& place : places->second) {
      const Rectangles& stored = manifest_.shards[place.shard].pieces[place.piece].region;
      if (!copies_between(piece.region, stored).empty()) all.insert(place.shard);
    }
  }
  return {all.begin(), all.end()};
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
