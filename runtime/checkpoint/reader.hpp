// SPDX-License-Identifier: Apache-2.0
// Reads from a checkpoint what a rank holds, whatever layout wrote it: only the chunks in which
// that lies, each checked against its checksum before a byte of it is used.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/mapped_file.hpp"
#include "runtime/checkpoint/manifest.hpp"
#include "runtime/checkpoint/snapshot.hpp"

namespace lockstep {

class CheckpointReader {
 public:
  // `directory` and `manifest` must outlive it.
  CheckpointReader(const std::string& directory, const Manifest& manifest);

  // Fills the tensors. ConfigError when the checkpoint is damaged or lacks some of it.
  void read(std::vector<HeldPiece>& pieces);
  // The own states of a rank, if the shard has these names and sizes.
  bool holds_own(std::size_t shard, const std::vector<HeldState>& own) const;
  void read_own(std::size_t shard, std::vector<HeldState>& own);
  // The shards in which that lies.
  std::vector<std::size_t> shards_of(const std::vector<HeldPiece>& pieces) const;
  // What nobody else looks at: the header of a shard. Or all of it.
  void check_header(std::size_t shard);
  void check_all(std::size_t shard);

  std::uint64_t bytes_read() const { return bytes_read_; }  // whole chunks, each once

 private:
  struct Place {
    std::size_t shard, piece;
  };
  struct Open {
    MappedFile file;
    std::vector<bool> checked;  // chunks
  };

  void read_state(HeldState& state, const HeldPiece& piece, const std::vector<Place>& places);
  std::int64_t read_place(std::vector<std::byte>& host, const HeldState& state,
                          const HeldPiece& piece, const Place& place);  // elements
  void check_range(std::size_t shard, std::uint64_t begin, std::uint64_t end);
  Open& opened(std::size_t shard);

  const std::string& directory_;
  const Manifest& manifest_;
  std::map<std::string, std::vector<Place>> places_;  // by name of the parameter
  std::vector<std::optional<Open>> open_;
  std::uint64_t bytes_read_ = 0;
};

// ConfigError unless the checkpoint holds a model of these parameters: which one differs, and both
// shapes.
void expect_same_model(const Manifest& manifest, const std::map<std::string, Dims>& parameters);

}  // namespace lockstep
