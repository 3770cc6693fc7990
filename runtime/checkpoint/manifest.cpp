// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/manifest.hpp"

#include <limits>

#include <nlohmann/json.hpp>

#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/checkpoint/manifest_frame.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMost = std::int64_t{1} << 48;  // elements or bytes of anything: no overflow
constexpr std::size_t kMostDims = 8;

[[noreturn]] void refuse(const std::string& what) {
  throw ConfigError("not a valid manifest: " + what);
}

Json parse(std::string_view text) {
  Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) refuse("it is not a JSON object");
  return json;
}

const Json& member(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name)) refuse("it has no " + std::string(name));
  return object[name];
}

std::int64_t whole(const Json& value, const char* name) {
  const bool fits = value.is_number_unsigned() && value.get<std::uint64_t>() <= kMost;
  if (!fits) refuse(std::string(name) + " is not a whole number from 0 to 2^48");
  return value.get<std::int64_t>();
}

std::int64_t number(const Json& object, const char* name) {
  return whole(member(object, name), name);
}

std::uint64_t count(const Json& object, const char* name) {
  return static_cast<std::uint64_t>(number(object, name));
}

std::string text(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_string()) refuse(std::string(name) + " is not a text");
  return value.get<std::string>();
}

const Json& list(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_array()) refuse(std::string(name) + " is not a list");
  return value;
}

const Json& table(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_object()) refuse(std::string(name) + " is not an object");
  return value;
}

std::vector<double> numbers(const Json& object, const char* name) {
  std::vector<double> values;
  for (const Json& value : list(object, name)) {
    if (!value.is_number()) refuse(std::string(name) + " holds something that is no number");
    values.push_back(value.get<double>());
  }
  return values;
}

DType dtype_named(const std::string& name) {
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16, DType::float64}) {
    if (name == name_of(dtype)) return dtype;
  }
  refuse("dtype '" + name + "' is not known");
}

Rectangles rectangles_of(const Json& piece) {
  Rectangles region;
  for (const Json& item : list(piece, "region")) {
    if (!item.is_array() || item.size() != 4) refuse("a rectangle is not four numbers");
    const Rectangle r{whole(item[0], "a row"), whole(item[1], "a column"), whole(item[2], "rows"),
                      whole(item[3], "columns")};
    if (r.rows > 0 && r.columns > kMost / r.rows) refuse("a rectangle is too large");
    region.push_back(r);
  }
  if (count_of(region) > kMost || count_of(region) < 0) refuse("a region is too large");
  return region;
}

StoredPiece piece_of(const Json& json) {
  StoredPiece piece{.name = text(json, "name"), .region = rectangles_of(json), .states = {}};
  for (const auto& [kind, state] : table(json, "states").items())
    piece.states.push_back({kind, dtype_named(text(state, "dtype")), count(state, "offset")});
  return piece;
}

void check_inside(const Shard& shard, const std::string& what, std::uint64_t offset,
                  std::int64_t count, DType dtype) {
  const auto elements = static_cast<std::uint64_t>(count);
  if (offset <= shard.bytes && elements <= (shard.bytes - offset) / size_of(dtype)) return;
  refuse(shard.file + ": " + what + " ends behind its " + std::to_string(shard.bytes) + " bytes");
}

OwnState own_state_of(const Json& json) {
  return {.name = text(json, "name"),
          .dtype = dtype_named(text(json, "dtype")),
          .count = number(json, "count"),
          .offset = count(json, "offset")};
}

Shard shard_of(const Json& json) {
  Shard shard{.file = text(json, "file"),
              .bytes = count(json, "bytes"),
              .chunk_bytes = count(json, "chunk_bytes"),
              .crc32c = {},
              .pieces = {}};
  if (shard.file.empty() || shard.file.find('/') != std::string::npos) {
    refuse("'" + shard.file + "' is not a file's name");
  }
  for (const Json& sum : list(json, "crc32c")) {
    const auto value = whole(sum, "crc32c");
    if (value > std::numeric_limits<std::uint32_t>::max()) refuse("a crc32c has over 32 bits");
    shard.crc32c.push_back(static_cast<std::uint32_t>(value));
  }
  if (shard.chunk_bytes == 0 ||
      shard.crc32c.size() != (shard.bytes + shard.chunk_bytes - 1) / shard.chunk_bytes) {
    refuse(shard.file + ": its checksums are not one per chunk");
  }
  for (const Json& piece : list(json, "pieces")) {
    shard.pieces.push_back(piece_of(piece));
    const StoredPiece& p = shard.pieces.back();
    for (const StoredState& s : p.states)
      check_inside(shard, s.kind + " of " + p.name, s.offset, count_of(p.region), s.dtype);
  }
  if (!json.contains("own")) return shard;
  for (const Json& state : list(json, "own")) {
    shard.own.push_back(own_state_of(state));
    const OwnState& s = shard.own.back();
    check_inside(shard, s.name, s.offset, s.count, s.dtype);
  }
  return shard;
}

Dims dims_of(const std::string& name, const Json& json) {
  if (!json.is_array() || json.size() > kMostDims) refuse("the shape of " + name + " is not one");
  Dims dims;
  std::int64_t elements = 1;
  for (const Json& dim : json) {
    dims.push_back(whole(dim, "a dim"));
    if (dims.back() > 0 && elements > kMost / dims.back()) refuse(name + " is too large");
    elements *= dims.back();
  }
  return dims;
}

void check_regions(const Manifest& m, const Shard& shard) {
  for (const StoredPiece& piece : shard.pieces) {
    const auto found = m.parameters.find(piece.name);
    if (found == m.parameters.end()) refuse(piece.name + " is stored, but is no parameter");
    const Rectangle all = matrix_of(found->second);
    for (const Rectangle& r : piece.region) {
      if (r.rows > all.rows || r.row > all.rows - r.rows || r.columns > all.columns ||
          r.column > all.columns - r.columns) {
        refuse("a region of " + piece.name + " lies outside of it");
      }
    }
  }
}

std::optional<double> number_if_there(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

Progress progress_of(const Json& json) {
  Progress p{.losses = numbers(json, "losses"), .grad_norms = numbers(json, "grad_norms")};
  for (const Json& step : list(json, "went_back"))
    p.went_back.push_back(whole(step, "a step"));
  p.skipped = number(json, "skipped");
  p.skipped_in_row = number(json, "skipped_in_row");
  p.validation_loss = number_if_there(json, "validation_loss");
  p.validation_accuracy = number_if_there(json, "validation_accuracy");
  return p;
}

// A newer one may hold anything: its version is all that is read of it.
int version_of(const Json& json) {
  const std::int64_t version = number(json, "version");
  if (version == kCheckpointVersion) return kCheckpointVersion;
  const bool newer = version > kCheckpointVersion;
  const std::string by = newer ? ", written by " + text(json, "program") : "";
  throw VersionError(format("checkpoint format %lld%s; this program reads format %d%s",
                            static_cast<long long>(version), by.c_str(), kCheckpointVersion,
                            newer ? ": use a newer one" : ""));
}

Manifest manifest_of(const Json& json) {
  Manifest m;
  m.version = version_of(json);
  m.program = text(json, "program");
  m.step = number(json, "step");
  m.life = number(json, "life");
  const Json& optimizer = table(json, "optimizer");
  m.optimizer = text(optimizer, "kind");
  m.optimizer_steps = number(optimizer, "steps");
  const Json& data = table(json, "data");
  m.next_sample = number(data, "next_sample");
  m.train_tokens = number(data, "train_tokens");
  m.sequence = number(data, "sequence");
  const Json& seed = member(table(json, "random"), "seed");
  if (!seed.is_number_integer()) refuse("seed is not a whole number");
  m.seed = seed.get<std::int64_t>();
  for (const auto& [axis, degree] : table(json, "layout").items())
    m.layout[axis] = whole(degree, "a degree");
  // Neither is in checkpoints of 0.4.
  if (json.contains("compression")) m.compression = text(json, "compression");
  if (json.contains("progress")) m.progress = progress_of(table(json, "progress"));
  m.job = text(json, "job");
  for (const auto& [name, dims] : table(json, "parameters").items())
    m.parameters[name] = dims_of(name, dims);
  for (const Json& shard : list(json, "shards")) {
    m.shards.push_back(shard_of(shard));
    check_regions(m, m.shards.back());
  }
  return m;
}

}  // namespace

Manifest parse_manifest(std::string_view text) {
  const std::size_t tail = checksum_of("").size();
  if (text.size() < kManifestBegin.size() + tail || !text.starts_with(kManifestBegin)) {
    refuse("it is cut off or something else");
  }
  const std::string_view body = text.substr(0, text.size() - tail);
  if (text.substr(body.size()) != checksum_of(body)) {
    refuse("its checksum does not fit: it is damaged");
  }
  return manifest_of(parse(body.substr(kManifestBegin.size())));
}

Shard parse_shard(std::string_view text) {
  return shard_of(parse(text));
}

}  // namespace lockstep
