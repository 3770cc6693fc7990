// SPDX-License-Identifier: Apache-2.0
#include "launch/checkpoint_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "runtime/base/format.hpp"
#include "runtime/checkpoint/folder.hpp"
#include "runtime/checkpoint/whole.hpp"

namespace lockstep {

namespace fs = std::filesystem;

namespace {

std::uint64_t bytes_in(const Manifest& m) {
  std::uint64_t bytes = 0;
  for (const Shard& shard : m.shards)
    bytes += shard.bytes;
  return bytes;
}

std::int64_t elements_in(const Manifest& m) {
  std::int64_t count = 0;
  for (const auto& [name, dims] : m.parameters)
    count += matrix_of(dims).count();
  return count;
}

std::string layout_of(const Manifest& m) {
  std::string text;
  for (const auto& [axis, degree] : m.layout)
    text += (text.empty() ? "" : ", ") + axis + " " + std::to_string(degree);
  return text.empty() ? "none" : text;
}

// Elements of one state of a parameter, and whether none is stored twice.
std::int64_t stored_count(const Manifest& m, const std::string& kind, const std::string& name) {
  std::int64_t count = 0;
  std::vector<const Rectangles*> regions;
  for (const Shard& shard : m.shards) {
    for (const StoredPiece& piece : shard.pieces) {
      const bool has = std::any_of(piece.states.begin(), piece.states.end(),
                                   [&](const StoredState& s) { return s.kind == kind; });
      if (piece.name != name || !has) continue;
      for (const Rectangles* other : regions) {
        if (copies_between(*other, piece.region).empty()) continue;
        throw ConfigError(kind + " of " + name + " is stored twice");
      }
      regions.push_back(&piece.region);
      count += count_of(piece.region);
    }
  }
  return count;
}

std::string row(const char* what, const std::string& value) {
  return format("  %-16s %s\n", what, value.c_str());
}

// The largest difference of two tensors, and how many elements differ.
std::string compare(const Tensor& a, const Tensor& b) {
  if (std::memcmp(a.raw(), b.raw(), a.bytes()) == 0) return "";
  double largest = 0;
  std::int64_t differing = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) {
    const float x = a.data()[i], y = b.data()[i];
    differing += std::memcmp(&x, &y, sizeof x) != 0;
    largest = std::max(largest, std::abs(double{x} - y));
  }
  return format("%lld of %lld elements differ, by %.3g at most", static_cast<long long>(differing),
                static_cast<long long>(a.count()), largest);
}

template <class Value>
void compare_fields(CheckpointDifference& d, const char* what, const Value& a, const Value& b,
                    const std::string& text_a, const std::string& text_b) {
  if (a == b) return;
  d.same = false;
  d.text += format("%s: %s, %s\n", what, text_a.c_str(), text_b.c_str());
}

}  // namespace

std::vector<std::string> find_checkpoints(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) throw ConfigError(path + ": there is no such directory");
  if (fs::exists(fs::path(path) / kManifestFile, ignored)) return {path};
  for (const fs::path& folder : {fs::path(path) / "checkpoints", fs::path(path)}) {
    const CheckpointFolder all(folder.string());
    std::vector<std::string> found;
    for (const std::int64_t step : all.steps())
      found.push_back(all.place_of(step));
    if (!found.empty()) return found;
  }
  throw ConfigError(path + ": holds no complete checkpoint (a directory with a " +
                    std::string(kManifestFile) + ")");
}

std::string find_checkpoint(const std::string& path) {
  return find_checkpoints(path).front();
}

std::string inspect_text(const std::string& checkpoint, const Manifest& m, Detail detail) {
  std::string kinds;
  for (const std::string& kind : kinds_in(m))
    kinds += (kinds.empty() ? "" : ", ") + kind;
  std::string text = checkpoint + "\n";
  text += row("step", std::to_string(m.step));
  text += row("written by", m.program + ", life " + std::to_string(m.life) + " of the run");
  text += row("layout", layout_of(m));
  text += row("parameters", format("%zu, %lld elements", m.parameters.size(),
                                   static_cast<long long>(elements_in(m))));
  text += row("states", kinds);
  text += row("optimizer", format("%s, %lld steps", m.optimizer.c_str(),
                                  static_cast<long long>(m.optimizer_steps)));
  text += row("next sample", format("%lld, of %lld tokens", static_cast<long long>(m.next_sample),
                                    static_cast<long long>(m.train_tokens)));
  text += row("seed", std::to_string(m.seed));
  text += row("files", format("%zu, %.1f MB", m.shards.size(), 1e-6 * double(bytes_in(m))));
  if (detail == Detail::summary) return text;
  for (const auto& [name, dims] : m.parameters)
    text += format("  %-48s %s\n", name.c_str(), Shape(dims).text().c_str());
  return text + "\n" + m.job;
}

std::string inspect_json(const std::string& checkpoint, const Manifest& m) {
  return nlohmann::ordered_json{{"checkpoint", checkpoint},
                                {"step", m.step},
                                {"program", m.program},
                                {"life", m.life},
                                {"layout", m.layout},
                                {"optimizer", m.optimizer},
                                {"optimizer_steps", m.optimizer_steps},
                                {"next_sample", m.next_sample},
                                {"seed", m.seed},
                                {"states", kinds_in(m)},
                                {"elements", elements_in(m)},
                                {"bytes", bytes_in(m)},
                                {"files", m.shards.size()},
                                {"parameters", m.parameters},
                                {"job", m.job}}
             .dump(2) +
         "\n";
}

std::string verify(const std::string& checkpoint) {
  const Manifest m = read_manifest(checkpoint);
  CheckpointReader reader(checkpoint, m);
  for (std::size_t s = 0; s < m.shards.size(); ++s)
    reader.check_all(s);
  for (const std::string& kind : kinds_in(m)) {
    for (const auto& [name, dims] : m.parameters) {
      const std::int64_t found = stored_count(m, kind, name), all = matrix_of(dims).count();
      if (found == all) continue;
      throw ConfigError(format("%s: has %lld of %lld elements of %s of %s", checkpoint.c_str(),
                               static_cast<long long>(found), static_cast<long long>(all),
                               kind.c_str(), name.c_str()));
    }
  }
  return format("%s: whole, step %lld, %zu files, %.1f MB\n", checkpoint.c_str(),
                static_cast<long long>(m.step), m.shards.size(), 1e-6 * double(bytes_in(m)));
}

CheckpointDifference diff(const std::string& a, const std::string& b) {
  const Manifest first = read_manifest(a), second = read_manifest(b);
  CheckpointDifference d;
  const auto number = [&](const char* what, std::int64_t x, std::int64_t y) {
    compare_fields(d, what, x, y, std::to_string(x), std::to_string(y));
  };
  number("step", first.step, second.step);
  number("optimizer steps", first.optimizer_steps, second.optimizer_steps);
  number("next sample", first.next_sample, second.next_sample);
  number("seed", first.seed, second.seed);
  compare_fields(d, "optimizer", first.optimizer, second.optimizer, first.optimizer,
                 second.optimizer);
  if (first.layout != second.layout)  // said, but no difference of the model
    d.text += "layout: " + layout_of(first) + "; " + layout_of(second) + "\n";
  expect_same_model(first, second.parameters);

  CheckpointReader read_first(a, first), read_second(b, second);
  const auto device = make_cpu_device();
  const auto kinds = kinds_in(first), others = kinds_in(second);
  std::vector<std::string> common;
  std::set_intersection(kinds.begin(), kinds.end(), others.begin(), others.end(),
                        std::back_inserter(common));
  if (kinds != others) {
    d.same = false;
    d.text += "their states are not of the same kinds\n";
  }
  for (const std::string& kind : common) {
    for (const auto& [name, dims] : first.parameters) {
      const std::string said = compare(whole_tensor(read_first, kind, name, dims, *device),
                                       whole_tensor(read_second, kind, name, dims, *device));
      if (said.empty()) continue;
      d.same = false;
      d.text += kind + " of " + name + ": " + said + "\n";
    }
  }
  if (d.same) d.text += "the same bits in every state\n";
  return d;
}

}  // namespace lockstep
