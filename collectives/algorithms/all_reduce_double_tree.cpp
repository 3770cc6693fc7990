// SPDX-License-Identifier: Apache-2.0
// All-reduce along two binary trees, up and down again, in segments of at most 64 KiB. One half of
// the vector takes one tree, the other half the other; a rank that is a leaf in one is inside the
// other, so all links are busy both ways. As few bytes as a ring, and the latency of a tree: for
// long vectors on many ranks.
//
//   steps  4h + 4k, about, with h = floor(log2 p) and k = ceil(n/2 / 64 KiB) segments per tree
//   bytes  2n    sent per rank at most
//   time   (4h + 4k - 4) * (alpha + n/2k * (beta + gamma/2)), about
//   needs  any p >= 1, any count
//   order  each half is summed once, at the root of its tree: the same bits on every rank
//
// P. Sanders, J. Speck, J. L. Traeff, Parallel Computing 35(12), 2009.
#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  if (group.ranks == 1) return 0;
  const Link& link = links.of(group);
  const int h = floor_log2(group.ranks), k = num_segments(n / 2);
  return (4 * h + 4 * k - 4) * (link.alpha + n / 2 / k * (link.beta + link.gamma / 2));
}

// Both trees take turns: turn j is segment j/2 of tree j%2, at every rank alike, so no rank waits
// for one that waits for it.
class DoubleTree {
 public:
  DoubleTree(Transport& net, const Call& call)
      : net_(net),
        call_(call),
        trees_{binary_tree(net.size(), net.rank()), other_binary_tree(net.size(), net.rank())},
        halves_(call.out.count, 2),
        segments_(num_segments(static_cast<double>(halves_.largest() * size_of(call.dtype)))),
        most_(halves_.largest() / static_cast<std::size_t>(segments_) + 1),
        slots_(net.scratch(4 * most_, call.dtype)) {}

  void reduce() {
    Ticket coming = receive_from_children(0);
    for (int turn = 0; turn < 2 * segments_; ++turn) {
      const Ticket here = coming;
      if (turn + 1 < 2 * segments_) coming = receive_from_children(turn + 1);
      net_.complete(here);
      for (int child : {0, 1})
        add(turn, child);
      if (tree(turn).parent >= 0) net_.post_send(part(turn), tree(turn).parent);
    }
    net_.complete();
  }

  void broadcast() {
    Ticket coming = receive_from_parent(0);
    for (int turn = 0; turn < 2 * segments_; ++turn) {
      const Ticket here = coming;
      if (turn + 1 < 2 * segments_) coming = receive_from_parent(turn + 1);
      net_.complete(here);
      for (const int child : tree(turn).children)
        if (child >= 0) net_.post_send(part(turn), child);
    }
    net_.complete();
  }

 private:
  const TreeLinks& tree(int turn) const { return trees_[turn % 2]; }
  Elements part(int turn) const {
    const Elements half = call_.out.at(halves_[turn % 2]);
    return half.at(block_bounds(half.count, segments_, turn / 2));
  }
  Elements slot(int turn, int child) const {
    return slots_.subspan(static_cast<std::size_t>(turn % 2 * 2 + child) * most_, part(turn).count);
  }

  Ticket receive_from_children(int turn) {
    Ticket last = 0;
    for (int child : {0, 1}) {
      const int from = tree(turn).children[child];
      if (from >= 0) last = net_.post_receive(slot(turn, child), from);
    }
    return last;
  }
  Ticket receive_from_parent(int turn) {
    return tree(turn).parent < 0 ? 0 : net_.post_receive(part(turn), tree(turn).parent);
  }

  void add(int turn, int child) {
    if (tree(turn).children[child] < 0) return;
    net_.combine(part(turn), part(turn), slot(turn, child), call_.op);
  }

  Transport& net_;
  const Call& call_;
  TreeLinks trees_[2];
  Blocks halves_;
  int segments_;  // of a half
  std::size_t most_;
  Elements slots_;  // two turns of two children
};

void run(Transport& net, const Call& call) {
  net.copy(call.out, call.in);
  if (net.size() == 1) return;
  DoubleTree trees(net, call);
  trees.reduce();
  trees.broadcast();
}

}  // namespace

extern const Algorithm all_reduce_double_tree{Collective::all_reduce, "native/double_tree", run,
                                              seconds};

}  // namespace lockstep
