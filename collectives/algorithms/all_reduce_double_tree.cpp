// SPDX-License-Identifier: Apache-2.0
// All-reduce along two binary trees, up and down again, in segments of at most 64 KiB. One half of
// the vector takes one tree, the other half the other; a rank that is a leaf in one is inside the
// other, so all links are busy both ways. As few bytes as a ring, and the latency of a tree: for
// long vectors on many ranks.
//
//   h = ceil(log2 p), k = ceil(n/2 / 64 KiB) segments per tree; per segment t = alpha + n/2k * beta
//   sent and g = n/2k * gamma added
//   steps  4h-2 to the end of the first segment, then 4 per segment, or 5 because messages get into
//          each other's way: nothing here colours the edges, as the paper does (p = 2: 2 per
//          segment)
//   bytes  2n    sent per rank at most
//   time   (2h-1)*(2t + g) + (k-1)*(max(2.5 t, 2g) + 2.5 t), about; the recorded schedule costs
//          two thirds to 1.4 times that up to 32 ranks
//   needs  any p >= 1, any count
//   order  each half is summed once, at the root of its tree: the same bits on every rank
//
// P. Sanders, J. Speck, J. L. Traeff, Parallel Computing 35(12), 2009.
#include <algorithm>

#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  if (group.ranks == 1) return 0;
  const Link& link = links.of(group);
  const int h = ceil_log2(group.ranks), k = num_segments(n / 2);
  const double t = link.alpha + n / 2 / k * link.beta, g = n / 2 / k * link.gamma;
  const double sends = group.ranks == 2 ? 1 : 2.5, adds = group.ranks == 2 ? 1 : 2;
  return (2 * h - 1) * (2 * t + g) + (k - 1) * (std::max(sends * t, adds * g) + sends * t);
}

// One of the two trees, as this rank sees it: its links, its depth, and the half of the vector.
struct Tree {
  TreeLinks links;
  int depth;
  Elements half;
};

int depth_of(TreeLinks (*tree)(int, int), int p, int rank) {
  int depth = 0;
  for (int above = tree(p, rank).parent; above >= 0; above = tree(p, above).parent)
    ++depth;
  return depth;
}

// All ranks count time alike. Going up, a rank of depth d has segment i at time i + height - d, so
// that what it passes on is due at its parent at the next; going down at time i + d. In both trees
// it receives for time t+1, waits for what it receives at t, and passes that on: no rank waits for
// one that waits for it, and no tree holds up the other.
class DoubleTree {
 public:
  DoubleTree(Transport& net, const Call& call)
      : net_(net),
        call_(call),
        height_(ceil_log2(net.size())),
        trees_{tree(binary_tree, 0), tree(other_binary_tree, 1)},
        segments_(num_segments(static_cast<double>(trees_[1].half.bytes()))),
        most_(trees_[1].half.count / static_cast<std::size_t>(segments_) + 1),
        slots_(net.scratch(8 * most_, call.dtype)) {}

  void reduce() {
    receive_from_children(0);
    for (int time = 0; time < segments_ + height_; ++time) {
      const Ticket here = posted_;
      receive_from_children(time + 1);
      net_.complete(here);
      for (int t : {0, 1})
        add_and_send_up(t, time);
    }
    net_.complete();
  }

  void broadcast() {
    receive_from_parents(0);
    for (int time = 0; time < segments_ + height_; ++time) {
      const Ticket here = posted_;
      receive_from_parents(time + 1);
      net_.complete(here);
      for (int t : {0, 1})
        send_down(t, time);
    }
    net_.complete();
  }

 private:
  Tree tree(TreeLinks (*make)(int, int), int half) const {
    const int p = net_.size(), me = net_.rank();
    return {make(p, me), depth_of(make, p, me),
            call_.out.at(block_bounds(call_.out.count, 2, half))};
  }
  bool exists(int segment) const { return segment >= 0 && segment < segments_; }
  Elements part(int t, int segment) const {
    const Elements& half = trees_[t].half;
    return half.at(block_bounds(half.count, segments_, segment));
  }
  int rising(int t, int time) const { return time - height_ + trees_[t].depth; }
  int falling(int t, int time) const { return time - trees_[t].depth; }
  // Where a child's segment waits to be added, for two times in turn.
  Elements slot(int t, int segment, int child) const {
    const int number = segment % 2 * 4 + t * 2 + child;
    return slots_.subspan(static_cast<std::size_t>(number) * most_, part(t, segment).count);
  }

  void receive_from_children(int time) {
    for (int t : {0, 1}) {
      const int segment = rising(t, time);
      for (int child : {0, 1}) {
        const int from = trees_[t].links.children[child];
        if (from >= 0 && exists(segment)) {
          posted_ = net_.post_receive(slot(t, segment, child), from);
        }
      }
    }
  }

  void add_and_send_up(int t, int time) {
    const TreeLinks& links = trees_[t].links;
    const int segment = rising(t, time);
    if (!exists(segment)) return;
    const Elements sum = part(t, segment);
    for (int child : {0, 1}) {
      if (links.children[child] < 0) continue;
      net_.combine(sum, sum, slot(t, segment, child), call_.op);
    }
    if (links.parent >= 0) net_.post_send(sum, links.parent);
  }

  void receive_from_parents(int time) {
    for (int t : {0, 1}) {
      const int segment = falling(t, time);
      if (trees_[t].links.parent >= 0 && exists(segment)) {
        posted_ = net_.post_receive(part(t, segment), trees_[t].links.parent);
      }
    }
  }

  void send_down(int t, int time) {
    const int segment = falling(t, time);
    for (const int child : trees_[t].links.children) {
      if (child >= 0 && exists(segment)) net_.post_send(part(t, segment), child);
    }
  }

  Transport& net_;
  const Call& call_;
  int height_;  // at least the depth of every rank
  Tree trees_[2];
  int segments_;  // of a half
  std::size_t most_;
  Elements slots_;
  Ticket posted_ = 0;  // the last receive
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
