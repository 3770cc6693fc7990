// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/memory_copies.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>

#include <nlohmann/json.hpp>

#include "runtime/base/crc32c.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/mapped_file.hpp"
#include "runtime/checkpoint/memory_folder.hpp"
#include "runtime/checkpoint/reader.hpp"
#include "runtime/checkpoint/shard_file.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Json to_json(const std::vector<Offer>& offers) {
  Json all = Json::array();
  for (const Offer& o : offers)
    all.push_back({{"step", o.step}, {"sum", o.sum}, {"of", o.num_shards}, {"shards", o.shards}});
  return all;
}

std::vector<Offer> offers_of(const Json& json) {
  std::vector<Offer> offers;
  for (const Json& o : json)
    offers.push_back({o["step"].get<std::int64_t>(), o["sum"].get<std::string>(),
                      o["of"].get<std::size_t>(), o["shards"].get<std::vector<std::size_t>>()});
  return offers;
}

// What every rank says, for every rank.
template <class Value>
std::vector<Value> all_of(const Context& context, const Value& mine) {
  Json all = Json::array();
  for (const std::string& text : context.gather(Json(mine).dump()))
    all.push_back(Json::parse(text));
  return Json::parse(context.broadcast(all.dump())).get<std::vector<Value>>();
}

void send_file(Post& post, int to, const std::string& path) {
  const auto file = std::make_shared<MappedFile>(MappedFile::open(path));
  post.send(to, file->bytes(), file);
}

std::string text_from(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

MemoryCopies::MemoryCopies(const Context& context, const MemoryOptions& options)
    : context_(context), options_(options), post_(context, options.timeout_seconds) {
  nodes_ = all_of(context_, context_.node());
  const std::vector<int> keepers = keepers_of(nodes_);
  keeper_ = keepers[static_cast<std::size_t>(context_.rank())];
  for (std::size_t r = 0; r < keepers.size(); ++r)
    if (keepers[r] == context_.rank()) wards_.push_back(static_cast<int>(r));
  context_.together([&] {
    if (context_.first()) name_ = memory_name_of(options_.run_dir);
  });
  name_ = context_.broadcast(name_);
  folder_ = CheckpointFolder(memory_folder(options_.place, name_));
}

// ---- going on from them

std::optional<MemoryCopies::Found> MemoryCopies::find(std::string& missing) {
  if (name_.empty()) return std::nullopt;
  std::vector<std::vector<Offer>> offers;
  for (const std::string& text : context_.gather(to_json(offers_here()).dump()))
    offers.push_back(offers_of(Json::parse(text)));
  Json chosen;
  if (context_.first()) {
    const auto newest = newest_complete(offers, missing);
    if (!newest && missing.empty()) missing = "there are none of " + name_;
    chosen["missing"] = missing;
    if (newest) {
      chosen["step"] = newest->step;
      chosen["sum"] = newest->sum;
      chosen["holders"] = newest->holders;
    }
  }
  chosen = Json::parse(context_.broadcast(chosen.dump()));
  missing = chosen["missing"].get<std::string>();
  if (!chosen.contains("step")) return std::nullopt;
  Found found{.copies = {.step = chosen["step"].get<std::int64_t>(),
                         .sum = chosen["sum"].get<std::string>(),
                         .holders = chosen["holders"].get<std::vector<std::vector<int>>>()},
              .manifest = {}};
  const int teller = found.copies.holders[0][0];
  context_.together([&] {
    if (context_.rank() != teller) return;
    found.manifest = read_text(folder_.place_of(found.copies.step) + "/" + kManifestFile);
  });
  found.manifest = context_.broadcast(found.manifest, teller);
  return found;
}

// The ranks of a node share the looking. What is damaged is not offered: another node may have it.
std::vector<Offer> MemoryCopies::offers_here() const {
  std::vector<Offer> offers;
  for (const std::int64_t step : folder_.steps()) {
    const std::string checkpoint = folder_.place_of(step);
    try {
      const std::string text = read_text(checkpoint + "/" + kManifestFile);
      const Manifest manifest = parse_manifest(text);
      CheckpointReader reader(checkpoint, manifest);
      Offer offer{.step = step, .sum = crc32c_hex(text), .num_shards = manifest.shards.size()};
      const auto ranks = static_cast<std::size_t>(context_.local_size());
      for (std::size_t s = static_cast<std::size_t>(context_.local_rank());
           s < manifest.shards.size(); s += ranks) {
        if (!fs::exists(checkpoint + "/" + manifest.shards[s].file)) continue;
        try {
          reader.check_all(s);
          offer.shards.push_back(s);
        } catch (const std::runtime_error& error) {
          log_warning(std::string("refused: ") + error.what());
        }
      }
      offers.push_back(std::move(offer));
    } catch (const std::runtime_error& error) {
      if (leads()) log_warning(std::string("refused: ") + error.what());
    }
  }
  return offers;
}

std::string MemoryCopies::bring(const Found& found, const std::vector<std::size_t>& needed) {
  const std::string checkpoint = folder_.place_of(found.copies.step);
  const Manifest manifest = parse_manifest(found.manifest);
  context_.together([&] {
    if (!leads()) return;
    make_folder();
    fs::create_directories(checkpoint);
    write_file(checkpoint + "/" + kManifestFile, found.manifest);
  });
  const auto fetches = fetches_of(found.copies, all_of(context_, needed), nodes_);
  context_.together([&] {
    for (const Fetch& t : fetches) {
      if (t.from == context_.rank())
        send_file(post_, t.to, checkpoint + "/" + manifest.shards[t.shard].file);
    }
    for (const Fetch& t : fetches) {
      if (t.to != context_.rank()) continue;
      const std::vector<std::byte> bytes = post_.receive(t.from);
      write_shard(checkpoint, manifest.shards[t.shard].file, "", bytes);
    }
    post_.finish();
  });
  if (!fetches.empty()) {
    log_info(format("%zu shards came from the memory of other nodes", fetches.size()));
  }
  return checkpoint;
}

// ---- of this life

void MemoryCopies::begin(Former former, std::uint64_t shard_bytes) {
  const auto bytes = all_of(context_, shard_bytes);
  const auto keepers = keepers_of(nodes_);
  node_bytes_ = 0;
  for (std::size_t r = 0; r < bytes.size(); ++r) {
    if (nodes_[r] == context_.node()) node_bytes_ += bytes[r];
    const int keeper = keepers[r];
    if (keeper >= 0 && nodes_[static_cast<std::size_t>(keeper)] == context_.node())
      node_bytes_ += bytes[r];
  }
  if (former == Former::is_over && !name_.empty()) remove();
  if (name_.empty()) {
    name_ = context_.broadcast(context_.first() ? new_memory_name(options_.run_dir) : "");
    folder_ = CheckpointFolder(memory_folder(options_.place, name_));
  }
  context_.together([&] {
    if (context_.first()) write_memory_name(options_.run_dir, name_);
  });
  context_.together([&] {
    if (!leads()) return;
    sweep_memory(options_.place);
    make_folder();
    folder_.clean();
  });
}

void MemoryCopies::make_folder() const {
  make_memory_folder(folder_.path(), options_.run_dir);
}

bool MemoryCopies::save(const std::vector<HeldPiece>& pieces, const std::vector<HeldState>& own,
                        Manifest head, const Fence& fence, std::string& reason) {
  const std::string draft = folder_.draft_of(head.step, head.life);
  reason = prepare(head);
  std::string text;
  if (reason.empty()) {
    Shard shard;
    snapshot_->take(pieces, own);
    const std::string mistake = keep(draft, shard);
    for (const std::string& theirs : context_.gather(to_text(shard)))
      head.shards.push_back(parse_shard(theirs));
    reason = agree(mistake);
  }
  context_.together([&] {
    if (!context_.first() || !reason.empty()) return;
    fence.check();
    text = to_text(head);
  });
  text = context_.broadcast(text);
  context_.together([&] {
    if (!leads()) return;
    if (!reason.empty()) return folder_.clean();
    write_file(draft + "/" + kManifestFile, text);
    folder_.commit(head.step, head.life);
  });
  // Only now that the new ones are everywhere.
  context_.together([&] {
    if (leads() && reason.empty()) folder_.retain(head.step, 1, 0);
  });
  return reason.empty();
}

std::string MemoryCopies::prepare(const Manifest& head) const {
  std::string mistake;
  try {
    if (leads()) {
      expect_free(folder_.path(), node_bytes_);
      folder_.make_draft(head.step, head.life);
    }
  } catch (const SystemError& error) {
    mistake = error.what();
  }
  return agree(mistake);
}

// A rank that cannot write says so, but exchanges all the same: the others wait for it.
std::string MemoryCopies::keep(const std::string& draft, Shard& shard) {
  std::string mistake;
  try {
    shard =
        write_shard(draft, shard_name(context_.rank()), snapshot_->header(), snapshot_->bytes());
  } catch (const SystemError& error) {
    mistake = error.what();
  }
  shard.file = shard_name(context_.rank());
  shard.chunk_bytes = std::max<std::uint64_t>(shard.chunk_bytes, 1);
  if (mistake.empty()) {
    shard.pieces = snapshot_->pieces();
    shard.own = snapshot_->own();
  }
  if (keeper_ >= 0) {
    const auto note = std::make_shared<std::string>(to_text(shard));
    post_.send(keeper_, std::as_bytes(std::span(*note)), note);
    post_.send(keeper_, std::as_bytes(std::span(snapshot_->header())), snapshot_);
    post_.send(keeper_, snapshot_->bytes(), snapshot_);
  }
  const std::string of_wards = keep_wards(draft);
  post_.finish();
  return mistake.empty() ? of_wards : mistake;
}

std::string MemoryCopies::keep_wards(const std::string& draft) {
  std::string mistake;
  for (const int ward : wards_) {
    const Shard theirs = parse_shard(text_from(post_.receive(ward)));
    const std::string header = text_from(post_.receive(ward));
    const std::vector<std::byte> bytes = post_.receive(ward);
    if (theirs.bytes == 0) continue;  // it could not write, and says so itself
    try {
      const Shard copy = write_shard(draft, theirs.file, header, bytes);
      if (copy.crc32c == theirs.crc32c) continue;
      mistake =
          format("the shard of rank %d was damaged on its way to rank %d", ward, context_.rank());
    } catch (const SystemError& error) {
      mistake = error.what();
    }
  }
  return mistake;
}

// What went wrong on the lowest rank where something did; the same on every rank.
std::string MemoryCopies::agree(const std::string& mistake) const {
  std::string first;
  for (const std::string& theirs : context_.gather(mistake)) {
    if (first.empty()) first = theirs;
  }
  return context_.broadcast(first);
}

void MemoryCopies::forget() {
  context_.together([&] {
    if (leads()) folder_.retain(std::numeric_limits<std::int64_t>::max(), 0, 0);
  });
}

void MemoryCopies::remove() {
  context_.together([&] {
    if (context_.first()) unlink_memory_name(options_.run_dir);
  });
  context_.together([&] {
    if (leads()) fs::remove_all(folder_.path());
  });
  name_.clear();
}

}  // namespace lockstep
