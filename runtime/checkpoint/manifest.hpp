// SPDX-License-Identifier: Apache-2.0
// The manifest of a checkpoint: what was trained, how far, and where in which shard each stretch
// of each parameter lies. One line of JSON that carries its own checksum:
//
//   {"checkpoint":{...},"crc32c":"0a1b2c3d"}      of the bytes before ,"crc32c"
//
// Reading trusts nothing: what is not as it must be is a ConfigError that says what.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/dtype.hpp"
#include "runtime/base/error.hpp"
#include "runtime/checkpoint/rectangles.hpp"

namespace lockstep {

inline constexpr int kCheckpointVersion = 1;
inline constexpr const char* kManifestFile = "manifest.json";

// "value", or a state of the optimizer: where it begins in the file of the shard.
struct StoredState {
  std::string kind;
  DType dtype = DType::float32;
  std::uint64_t offset = 0;
  bool operator==(const StoredState&) const = default;
};

// A model that computes in bfloat16 has float32 masters of its values; both are the weight.
inline constexpr const char* kValue = "value";
inline constexpr const char* kMaster = "master";
inline bool is_weight(const std::string& kind) {
  return kind == kValue || kind == kMaster;
}

// Elements of one parameter; each state has as many, in the same order.
struct StoredPiece {
  std::string name;
  Rectangles region;
  std::vector<StoredState> states;
  bool operator==(const StoredPiece&) const = default;
};

// What is of use to its rank in its layout only, and no part of a parameter: what compression held
// back.
struct OwnState {
  std::string name;
  DType dtype = DType::float32;
  std::int64_t count = 0;
  std::uint64_t offset = 0;
  bool operator==(const OwnState&) const = default;
};

// One file of a rank. `crc32c` of every `chunk_bytes` of it, so that a part can be checked alone.
struct Shard {
  std::string file;
  std::uint64_t bytes = 0, chunk_bytes = 0;
  std::vector<std::uint32_t> crc32c;
  std::vector<StoredPiece> pieces;
  std::vector<OwnState> own{};
  bool operator==(const Shard&) const = default;
};

// What training knows beside the model's state: by which values it judges spikes, and the
// evaluation behind the step, if there was one.
struct Progress {
  std::vector<double> losses{}, grad_norms{};  // of the last steps
  std::vector<std::int64_t> went_back{};       // because of these steps
  std::int64_t skipped = 0, skipped_in_row = 0;
  std::optional<double> validation_loss{}, validation_accuracy{};
  bool operator==(const Progress&) const = default;
};

using Dims = std::vector<std::int64_t>;

struct Manifest {
  int version = kCheckpointVersion;
  std::string program;    // "lockstep 0.4.0"
  std::int64_t step = 0;  // optimizer steps done
  std::int64_t life = 0;  // of the run, that wrote it
  std::int64_t optimizer_steps = 0;
  std::string optimizer;
  // Data order, dropout and sampling are functions of the seed and of a sample's number since the
  // start: these two are the data position and the random state.
  std::int64_t seed = 0, next_sample = 0;
  std::int64_t train_tokens = 0,
               sequence = 0;  // the order is one of so many windows of that length
  std::map<std::string, std::int64_t> layout;
  std::string compression{};  // of gradients, in words: whose own states the shards hold
  Progress progress{};
  std::string job;                         // TOML, resolved
  std::map<std::string, Dims> parameters;  // of the whole model
  std::vector<Shard> shards;
  bool operator==(const Manifest&) const = default;
};

// Whole and undamaged, but of another version of the format.
class VersionError : public ConfigError {
 public:
  using ConfigError::ConfigError;
};

std::string to_text(const Manifest& manifest);
Manifest parse_manifest(std::string_view text);

// A shard alone, as its rank tells it to rank 0.
std::string to_text(const Shard& shard);
Shard parse_shard(std::string_view text);

}  // namespace lockstep
