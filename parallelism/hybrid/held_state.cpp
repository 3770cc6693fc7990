// SPDX-License-Identifier: Apache-2.0
#include "parallelism/hybrid/held_state.hpp"

#include <algorithm>

namespace lockstep {

namespace {

const Shape& full_shape(const Parameter& p) {
  return p.part.whole() ? p.value.shape() : p.part.full;
}

Dims dims_of(const Shape& shape) {
  Dims dims;
  for (int i = 0; i < shape.rank(); ++i)
    dims.push_back(shape[i]);
  return dims;
}

// Elements [begin, end) of the piece, without those that are padding.
HeldPiece stretch_of_piece(const TrainingStep& step, std::size_t index, std::int64_t begin,
                           std::int64_t end) {
  const Piece& piece = step.data().pieces()[index];
  const Parameter& p = *piece.parameter;
  HeldPiece held{.name = p.name,
                 .dims = dims_of(full_shape(p)),
                 .region = stretch_of(rectangles_of(p.part, p.value.shape()), piece.begin + begin,
                                      piece.begin + end),
                 .states = {}};
  const std::int64_t filled = begin + count_of(held.region);
  const auto flat = [&](const Tensor& t) { return t.view({t.count()}).slice(begin, filled); };
  held.states.push_back({"value", flat(piece.value)});
  for (const OptimizerState& state : step.optimizer().states())
    held.states.push_back({state.kind, flat((*state.tensors)[index])});
  return held;
}

// Of so many elements in all, the share of one of the ranks that have copies of them.
Range share_of(std::int64_t count, const TrainingStep& step, const Communicator& data) {
  if (step.data().shards()) return {0, count};
  return {count * data.rank() / data.size(), count * (data.rank() + 1) / data.size()};
}

}  // namespace

Rectangles rectangles_of(const Part& part, const Shape& held) {
  if (part.whole()) return {matrix_of(dims_of(held))};
  const Rectangle all = matrix_of(dims_of(part.full));
  expect(part.dim == 0 || part.kept.size() == 1, "columns are kept in one range");
  Rectangles region;
  for (const Range& range : part.kept) {
    const bool rows = part.dim == 0 && part.full.rank() > 1;
    if (range.count() == 0) continue;
    region.push_back(rows ? Rectangle{range.begin, 0, range.count(), all.columns}
                          : Rectangle{0, range.begin, all.rows, range.count()});
  }
  return region;
}

std::vector<HeldPiece> held_state(const TrainingStep& step) {
  std::vector<HeldPiece> all;
  for (std::size_t i = 0; i < step.data().pieces().size(); ++i)
    all.push_back(stretch_of_piece(step, i, 0, step.data().pieces()[i].value.count()));
  return all;
}

std::vector<HeldState> own_state(const TrainingStep& step) {
  std::vector<HeldState> all;
  for (const Tensor& t : step.data().kept())
    all.push_back({"compression/" + std::to_string(all.size()), t.view({t.count()})});
  return all;
}

std::vector<HeldPiece> written_state(const TrainingStep& step, const Mesh& mesh) {
  const std::vector<Piece>& pieces = step.data().pieces();
  std::int64_t count = 0, at = 0;
  for (const Piece& piece : pieces)
    count += piece.value.count();
  const Range share = share_of(count, step, mesh.data());
  std::vector<HeldPiece> all;
  for (std::size_t i = 0; i < pieces.size(); at += pieces[i++].value.count()) {
    const std::int64_t begin = std::max(share.begin - at, std::int64_t{0});
    const std::int64_t end = std::min(share.end - at, pieces[i].value.count());
    if (begin >= end || !step.stage().speaks_for(*pieces[i].parameter)) continue;
    HeldPiece held = stretch_of_piece(step, i, begin, end);
    if (!held.region.empty()) all.push_back(std::move(held));
  }
  return all;
}

}  // namespace lockstep
