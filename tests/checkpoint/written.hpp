// SPDX-License-Identifier: Apache-2.0
// A small checkpoint, written by ranks that are only their writers.
#pragma once

#include <memory>
#include <vector>

#include "runtime/checkpoint/reader.hpp"
#include "runtime/checkpoint/writer.hpp"
#include "tests/support/temp_dir.hpp"

namespace lockstep::test {

// Two parameters over two ranks: rows of a matrix, a vector in halves.
class SmallState {
 public:
  explicit SmallState(float first, std::int64_t rows = 6)
      : device_(make_cpu_device()), rows_(rows), first_(first) {}

  std::vector<HeldPiece> of_rank(int rank) {
    const std::int64_t half = rows_ / 2;
    return {piece("matrix", {rows_, 5}, {{rank * half, 0, half, 5}}, 10.0f * rank),
            piece("vector", {4}, {{0, 2 * rank, 1, 2}}, 10.0f * rank + 5)};
  }
  Manifest head(std::int64_t step) const {
    Manifest m;
    m.program = "lockstep test";
    m.step = step;
    m.optimizer = "adamw";
    m.parameters = {{"matrix", {rows_, 5}}, {"vector", {4}}};
    return m;
  }

 private:
  HeldPiece piece(const std::string& name, const Dims& dims, const Rectangles& region,
                  float begin) {
    HeldPiece piece{.name = name, .dims = dims, .region = region, .states = {}};
    for (const char* kind : {"value", "first_moment"}) {
      Tensor t = Tensor::empty(*device_, {count_of(region)});
      for (float& v : t.values())
        v = first_ + begin++;
      piece.states.push_back({kind, t});
    }
    return piece;
  }

  std::unique_ptr<Device> device_;
  std::int64_t rows_;
  float first_;
};

inline void write_small(const CheckpointFolder& folder, const std::string& run_dir,
                        SmallState state, std::int64_t step) {
  const Fence fence = Fence::take(run_dir, {});
  folder.clean();
  Manifest head = state.head(step);
  head.life = fence.life();
  folder.make_draft(step, head.life);
  CheckpointWriter other(folder, fence, {.rank = 1, .ranks = 2});
  CheckpointWriter first(folder, fence, {.rank = 0, .ranks = 2});
  first.save(state.of_rank(0), head);
  other.save(state.of_rank(1), head);
  other.wait();
  first.wait();
}

// As both ranks of a job would load it. Throws what they would.
inline std::vector<float> read_small(const std::string& checkpoint, std::int64_t rows = 6) {
  const Manifest manifest = read_manifest(checkpoint);
  SmallState into(0, rows);
  expect_same_model(manifest, into.head(0).parameters);
  std::vector<float> values;
  CheckpointReader reader(checkpoint, manifest);
  for (int rank = 0; rank < 2; ++rank) {
    auto pieces = into.of_rank(rank);
    reader.read(pieces);
    reader.check_header(static_cast<std::size_t>(rank));
    for (const HeldPiece& piece : pieces) {
      for (const HeldState& s : piece.states)
        values.insert(values.end(), s.tensor.values().begin(), s.tensor.values().end());
    }
  }
  return values;
}

}  // namespace lockstep::test
