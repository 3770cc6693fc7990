// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/whole.hpp"

#include <cstdio>
#include <filesystem>
#include <set>

#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/checkpoint/folder.hpp"
#include "runtime/checkpoint/shard_file.hpp"

namespace lockstep {

namespace fs = std::filesystem;

NewDirectory::NewDirectory(const std::string& path) : path_(path), draft_(path + ".partial") {
  std::error_code error;
  if (fs::exists(path_, error)) throw ConfigError(path_ + " is there already; name another");
  fs::remove_all(draft_, error);
  if (!fs::create_directories(draft_, error)) {
    throw ConfigError("cannot make " + draft_ + ": " + error.message());
  }
}

NewDirectory::~NewDirectory() {
  std::error_code ignored;
  if (!done_) fs::remove_all(draft_, ignored);
}

void NewDirectory::finish() {
  flush_directory(draft_);
  if (std::rename(draft_.c_str(), path_.c_str()) != 0) throw_errno("cannot rename " + draft_);
  done_ = true;
}

std::vector<std::string> kinds_in(const Manifest& manifest) {
  std::set<std::string> kinds;
  for (const Shard& shard : manifest.shards) {
    for (const StoredPiece& piece : shard.pieces) {
      for (const StoredState& s : piece.states)
        kinds.insert(s.kind);
    }
  }
  return {kinds.begin(), kinds.end()};
}

Tensor whole_tensor(CheckpointReader& reader, const std::string& kind, const std::string& name,
                    const Dims& dims, Device& device) {
  const Rectangle all = matrix_of(dims);
  std::vector<HeldPiece> piece{{.name = name, .dims = dims, .region = {all}, .states = {}}};
  piece[0].states.push_back({kind, Tensor::empty(device, {all.count()})});
  reader.read(piece);
  return piece[0].states[0].tensor;
}

void write_whole(const std::string& to, Manifest head, const std::vector<HeldPiece>& pieces) {
  NewDirectory made(to);
  Snapshot snapshot;
  snapshot.take(pieces);
  Shard shard = write_shard(made.draft(), shard_name(0), snapshot.header(), snapshot.bytes());
  shard.pieces = snapshot.pieces();
  head.shards = {shard};
  write_file(made / kManifestFile, to_text(head));
  made.finish();
}

void make_whole(const std::string& checkpoint, const std::string& to) {
  Manifest m = read_manifest(checkpoint);
  CheckpointReader reader(checkpoint, m);
  const auto device = make_cpu_device();
  std::vector<HeldPiece> pieces;
  for (const auto& [name, dims] : m.parameters) {
    pieces.push_back({name, dims, {matrix_of(dims)}, {}});
    for (const std::string& kind : kinds_in(m))
      pieces.back().states.push_back({kind, whole_tensor(reader, kind, name, dims, *device)});
  }
  Manifest head = m;
  head.layout.clear();
  write_whole(to, std::move(head), pieces);
}

}  // namespace lockstep
