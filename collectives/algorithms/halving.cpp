// SPDX-License-Identifier: Apache-2.0
#include "collectives/algorithms/halving.hpp"

namespace lockstep {

Cuts even_cuts(std::size_t count, const Folding& fold) {
  Cuts cuts;
  for (int v = 0; v < fold.places(); ++v)
    cuts.push_back(block_bounds(count, fold.places(), v).begin);
  cuts.push_back(count);
  return cuts;
}

Cuts cuts_of(const Blocks& blocks, const Folding& fold) {
  Cuts cuts;
  for (int v = 0; v < fold.places(); ++v)
    cuts.push_back(blocks[fold.first_rank(v)].begin);
  cuts.push_back(blocks.total());
  return cuts;
}

Elements range_of(const Elements& full, const Cuts& cuts, int first, int num) {
  const auto begin = static_cast<std::size_t>(first), end = static_cast<std::size_t>(first + num);
  return full.subspan(cuts[begin], cuts[end] - cuts[begin]);
}

void halve(Transport& net, const Folding& fold, const Cuts& cuts, const Elements& work,
           const Elements& source, const Elements& incoming, ReduceOp op) {
  const int me = fold.place_of(net.rank());
  const Elements* from = &source;
  for (int distance = fold.places() / 2; distance > 0; distance /= 2) {
    const int partner = fold.rank_at(me ^ distance);
    const int keeps = me & -distance, gives = keeps ^ distance;  // first places of the halves
    const Elements mine = range_of(*from, cuts, keeps, distance);
    const Elements theirs = incoming.first(mine.count);
    net.exchange(range_of(*from, cuts, gives, distance), partner, theirs, partner);
    const bool below = keeps < gives;
    net.combine(range_of(work, cuts, keeps, distance), below ? mine : theirs, below ? theirs : mine,
                op);
    from = &work;
  }
}

void double_up(Transport& net, const Folding& fold, const Cuts& cuts, const Elements& full) {
  const int me = fold.place_of(net.rank());
  for (int distance = 1; distance < fold.places(); distance *= 2) {
    const int partner = fold.rank_at(me ^ distance);
    const int has = me & -distance;
    net.exchange(range_of(full, cuts, has, distance), partner,
                 range_of(full, cuts, has ^ distance, distance), partner);
  }
}

}  // namespace lockstep
