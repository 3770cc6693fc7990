// SPDX-License-Identifier: Apache-2.0
#include "collectives/transports/recording.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "collectives/transports/forwarding.hpp"
#include "collectives/transports/subgroup.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr int kRankShift = 40, kAreaShift = 34;
constexpr std::uintptr_t kMostBytes = std::uintptr_t{1} << kAreaShift;
constexpr std::size_t kMostAreas = std::size_t{1} << (kRankShift - kAreaShift);

class RecordingSharedMemory : public SharedMemory {
 public:
  RecordingSharedMemory(Notes& notes, std::vector<int> ranks)
      : notes_(notes), ranks_(std::move(ranks)), group_(notes.group(ranks_)) {}

  bool crowded() const override { return false; }
  void barrier() override { notes_.add(TrackEvent::What::barrier, group_, {}, {}); }

  void stage(const Elements& data) override {
    expect(data.bytes() <= kStageBytes, "more is staged than fits");
    std::byte*& area = areas_[turn_++ % areas_.size()];
    if (!area) area = notes_.area(Area::Kind::staging, kStageBytes);
    const Elements out{area, data.count, data.dtype};
    notes_.display(group_, out);
    notes_.add(TrackEvent::What::stage, group_, {{out}}, {{data}});
  }
  Elements staged(int rank) override { return notes_.displayed(group_, there(rank)); }

  void show(const Elements& data) override {
    notes_.display(group_, data);
    notes_.add(TrackEvent::What::show, group_, {}, {{data}});
  }
  bool addressable() const override { return notes_.call().sharing == Sharing::addressable; }
  Elements shown(int rank) override {
    expect(addressable() || there(rank) == notes_.rank(), "shown memory has no address here");
    return notes_.displayed(group_, there(rank));
  }
  bool reads_private() const override { return true; }
  void fetch(const Elements& out, int rank, std::size_t begin) override {
    if (out.count == 0) return;
    const Elements in = notes_.displayed(group_, there(rank)).subspan(begin, out.count);
    notes_.add(TrackEvent::What::fetch, there(rank), {{out}}, {{in}});
  }

 private:
  int there(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }

  Notes& notes_;
  std::vector<int> ranks_;
  int group_;
  std::array<std::byte*, 2> areas_{};
  std::size_t turn_ = 0;
};

// The ranks of a node: a subgroup with shared memory.
class NodeTransport : public ForwardingTransport {
 public:
  NodeTransport(Notes& notes, std::unique_ptr<Transport> group, std::vector<int> ranks)
      : ForwardingTransport(*group), group_(std::move(group)), shared_(notes, std::move(ranks)) {}
  SharedMemory* shared() override { return &shared_; }

 private:
  std::unique_ptr<Transport> group_;
  RecordingSharedMemory shared_;
};

class RecordingTransport : public Transport {
 public:
  explicit RecordingTransport(Notes& notes) : notes_(notes) {
    std::vector<int> all(static_cast<std::size_t>(size()));
    std::iota(all.begin(), all.end(), 0);
    if (share(all)) shared_ = std::make_unique<RecordingSharedMemory>(notes_, all);
  }

  int rank() const override { return notes_.rank(); }
  int size() const override { return notes_.call().ranks(); }
  int node_of(int rank) const override { return notes_.call().node_of(rank); }

  void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op) override {
    expect(out.count == a.count && a.count == b.count, "reduction of unequal counts");
    if (out.count > 0) notes_.add(TrackEvent::What::combine, 0, {{out}}, {{a, b}}, 0, op);
  }
  void copy(const Elements& out, const Elements& in) override {
    expect(out.bytes() == in.bytes(), "copy of unequal sizes");
    if (out.data == in.data || in.count == 0) return;
    notes_.add(TrackEvent::What::copy, 0, {{out}}, {{in}});
  }
  void combine_all(std::span<const Elements> outs, std::span<const Elements> in,
                   ReduceOp op) override {
    if (in[0].count > 0) notes_.add(TrackEvent::What::combine_all, 0, outs, in, 0, op);
  }

  std::shared_ptr<std::byte> working_memory(std::size_t bytes) override {
    return {notes_.area(Area::Kind::working, bytes), [](std::byte*) {}};
  }
  SharedMemory* shared() override { return shared_.get(); }
  std::unique_ptr<Transport> split(int, int) override {
    throw LogicError("a recording is not split");
  }

 protected:
  void start_send(Ticket ticket, const Elements& data, int to) override {
    notes_.add(TrackEvent::What::send, to, {}, {{data}}, ticket);
  }
  void start_receive(Ticket ticket, const Elements& data, int from) override {
    notes_.add(TrackEvent::What::receive, from, {{data}}, {}, ticket);
  }
  void finish(Ticket up_to) override {
    if (up_to <= completed_) return;
    notes_.add(TrackEvent::What::complete, 0, {}, {}, up_to);
    completed_ = up_to;
  }
  std::unique_ptr<Transport> node_group(std::vector<int> ranks) override {
    auto group = make_subgroup(*this, ranks);
    if (!share(ranks)) return group;
    return std::make_unique<NodeTransport>(notes_, std::move(group), std::move(ranks));
  }

 private:
  bool share(const std::vector<int>& ranks) const {
    return notes_.call().sharing != Sharing::none &&
           node_of(ranks.front()) == node_of(ranks.back());
  }

  Notes& notes_;
  Ticket completed_ = 0;
  std::unique_ptr<RecordingSharedMemory> shared_;
};

}  // namespace

std::byte* Notes::area(Area::Kind kind, std::size_t bytes) {
  std::vector<Area>& areas = track().areas;
  expect(areas.size() < kMostAreas && bytes < kMostBytes, "more memory than a recording can name");
  const auto at = (static_cast<std::uintptr_t>(rank_) + 1) << kRankShift |
                  static_cast<std::uintptr_t>(areas.size()) << kAreaShift;
  areas.push_back({kind, bytes});
  return reinterpret_cast<std::byte*>(at);  // NOLINT(performance-no-int-to-ptr): nobody goes there
}

Region Notes::region(const Elements& elements) {
  if (elements.count == 0) return {};
  const auto at = reinterpret_cast<std::uintptr_t>(elements.data);
  return {static_cast<int>(at >> kRankShift) - 1,
          static_cast<int>(at >> kAreaShift & (kMostAreas - 1)), at & (kMostBytes - 1),
          elements.bytes()};
}

void Notes::add(TrackEvent::What what, int peer, std::span<const Elements> outs,
                std::span<const Elements> ins, Ticket ticket, ReduceOp op) {
  Track& all = track();
  all.events.push_back({.what = what,
                        .op = op,
                        .num_outs = static_cast<std::uint16_t>(outs.size()),
                        .num_ins = static_cast<std::uint32_t>(ins.size()),
                        .peer = peer,
                        .first_region = static_cast<std::uint32_t>(all.regions.size()),
                        .ticket = ticket});
  for (const Elements& out : outs)
    all.regions.push_back(region(out));
  for (const Elements& in : ins)
    all.regions.push_back(region(in));
}

int Notes::group(const std::vector<int>& ranks) {
  auto& groups = schedule_.groups;
  const auto at = std::find(groups.begin(), groups.end(), ranks);
  const auto number = static_cast<int>(at - groups.begin());
  if (at == groups.end()) groups.push_back(ranks);
  return number;
}

void Notes::display(int group, const Elements& data) {
  shown_[{group, rank_}].push_back(data);
}

Elements Notes::displayed(int group, int rank) const {
  const auto mine = shown_.find({group, rank_});
  expect(mine != shown_.end(), "nothing has been shown yet");
  const std::size_t times = mine->second.size();
  const auto theirs = known_.find({group, rank});
  if (theirs == known_.end() || theirs->second.size() < times) return mine->second.back();
  return theirs->second[times - 1];
}

std::unique_ptr<Transport> make_recording_transport(Notes& notes) {
  return std::make_unique<RecordingTransport>(notes);
}

}  // namespace lockstep
