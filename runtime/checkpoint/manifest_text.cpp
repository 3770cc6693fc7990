// SPDX-License-Identifier: Apache-2.0
// A manifest as text.
#include <nlohmann/json.hpp>

#include "runtime/checkpoint/manifest.hpp"
#include "runtime/checkpoint/manifest_frame.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::json;

Json to_json(const Rectangles& region) {
  Json all = Json::array();
  for (const Rectangle& r : region)
    all.push_back({r.row, r.column, r.rows, r.columns});
  return all;
}

Json to_json(const StoredPiece& piece) {
  Json states = Json::object();
  for (const StoredState& s : piece.states)
    states[s.kind] = {{"dtype", name_of(s.dtype)}, {"offset", s.offset}};
  return {{"name", piece.name}, {"region", to_json(piece.region)}, {"states", states}};
}

Json to_json(const Shard& shard) {
  Json pieces = Json::array();
  for (const StoredPiece& piece : shard.pieces)
    pieces.push_back(to_json(piece));
  Json json{{"file", shard.file},
            {"bytes", shard.bytes},
            {"chunk_bytes", shard.chunk_bytes},
            {"crc32c", shard.crc32c},
            {"pieces", pieces}};
  for (const OwnState& s : shard.own) {
    json["own"].push_back(
        {{"name", s.name}, {"dtype", name_of(s.dtype)}, {"count", s.count}, {"offset", s.offset}});
  }
  return json;
}

Json to_json(const Progress& p) {
  Json json{{"losses", p.losses},
            {"grad_norms", p.grad_norms},
            {"went_back", p.went_back},
            {"skipped", p.skipped},
            {"skipped_in_row", p.skipped_in_row}};
  if (p.validation_loss) json["validation_loss"] = *p.validation_loss;
  if (p.validation_accuracy) json["validation_accuracy"] = *p.validation_accuracy;
  return json;
}

Json to_json(const Manifest& m) {
  Json shards = Json::array();
  for (const Shard& shard : m.shards)
    shards.push_back(to_json(shard));
  return {{"version", m.version},
          {"program", m.program},
          {"step", m.step},
          {"life", m.life},
          {"optimizer", {{"kind", m.optimizer}, {"steps", m.optimizer_steps}}},
          {"data",
           {{"next_sample", m.next_sample},
            {"train_tokens", m.train_tokens},
            {"sequence", m.sequence}}},
          {"random", {{"generator", "philox4x32-10"}, {"seed", m.seed}}},
          {"layout", m.layout},
          {"compression", m.compression},
          {"progress", to_json(m.progress)},
          {"job", m.job},
          {"parameters", m.parameters},
          {"shards", shards}};
}

}  // namespace

std::string to_text(const Manifest& manifest) {
  const std::string body = std::string(kManifestBegin) + to_json(manifest).dump();
  return body + checksum_of(body);
}

std::string to_text(const Shard& shard) {
  return to_json(shard).dump();
}

}  // namespace lockstep
