// SPDX-License-Identifier: Apache-2.0
#include "collectives/transports/subgroup.hpp"

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

class Subgroup : public Transport {
 public:
  Subgroup(Transport& whole, std::vector<int> ranks) : whole_(whole), ranks_(std::move(ranks)) {
    const auto me = std::find(ranks_.begin(), ranks_.end(), whole_.rank());
    expect(me != ranks_.end(), "a subgroup has this rank in it");
    rank_ = static_cast<int>(me - ranks_.begin());
    for (const int r : ranks_) {
      const int node = whole_.node_of(r);
      if (std::find(nodes_.begin(), nodes_.end(), node) == nodes_.end()) nodes_.push_back(node);
    }
  }

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(ranks_.size()); }
  int node_of(int rank) const override {
    const auto at = std::find(nodes_.begin(), nodes_.end(), whole_.node_of(there(rank)));
    return static_cast<int>(at - nodes_.begin());
  }

  void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op) override {
    whole_.combine(out, a, b, op);
  }
  void copy(const Elements& out, const Elements& in) override { whole_.copy(out, in); }
  void combine_all(std::span<const Elements> outs, std::span<const Elements> in,
                   ReduceOp op) override {
    whole_.combine_all(outs, in, op);
  }

  std::shared_ptr<std::byte> working_memory(std::size_t bytes) override {
    return whole_.working_memory(bytes);
  }

  std::unique_ptr<Transport> split(int, int) override {
    throw LogicError("a subgroup is not split further");
  }

 protected:
  void start_send(Ticket, const Elements& data, int to) override {
    tickets_.push_back(whole_.post_send(data, there(to)));
  }
  void start_receive(Ticket, const Elements& data, int from) override {
    tickets_.push_back(whole_.post_receive(data, there(from)));
  }
  void finish(Ticket up_to) override {
    if (up_to <= finished_) return;
    whole_.complete(tickets_[up_to - finished_ - 1]);
    tickets_.erase(tickets_.begin(),
                   tickets_.begin() + static_cast<std::ptrdiff_t>(up_to - finished_));
    finished_ = up_to;
  }

 private:
  int there(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }

  Transport& whole_;
  std::vector<int> ranks_, nodes_;
  int rank_ = 0;
  std::vector<Ticket> tickets_;  // of the whole, for those here behind finished_
  Ticket finished_ = 0;
};

}  // namespace

std::unique_ptr<Transport> make_subgroup(Transport& whole, std::vector<int> ranks) {
  return std::make_unique<Subgroup>(whole, std::move(ranks));
}

}  // namespace lockstep
