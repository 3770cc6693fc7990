// SPDX-License-Identifier: Apache-2.0
// Ten thousand operations of overlapping groups, in an order that all ranks draw alike from one
// seed, with several under way.
#include <functional>
#include <optional>
#include <random>

#include "tests/collectives/worlds.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

// Submits operations of several groups in an order that all ranks draw alike, and keeps up to
// kSlots of them under way.
class Mixture {
 public:
  explicit Mixture(const CommunicatorOptions& options) : options_(options) {
    const auto world = Communicator::world(context(), device(), options);
    const int p = world.size();
    add(world);
    add(world.split("halves", [p](int r) { return 2 * r / p; }));
    add(world.split("odd and even", [](int r) { return r % 2; }));
    add(world.split("pairs", [](int r) { return (r + 1) / 2; }));
    add(world.split("alone", [](int r) { return r; }));
  }

  void run(int operations) {
    for (int i = 0; i < operations; ++i) {
      Slot& slot = slots_[static_cast<std::size_t>(i) % kSlots];
      finish(slot);
      start(slot, static_cast<std::size_t>(i) % kSlots);
      if (draw(40) == 0) finish_all();
    }
    finish_all();
  }

 private:
  static constexpr std::size_t kSlots = 12, kBuffer = 1 << 16;

  struct Group {
    Communicator ranks;
    std::vector<Arena> plain, allocated;  // one per slot
  };
  struct Slot {
    std::optional<Work> work;
    std::function<std::string()> mistake;
    std::string text;
  };

  void add(const Communicator& ranks) {
    Group group{ranks, {}, {}};
    const auto shared = ranks.allocate(2 * kSlots * kBuffer);
    for (std::size_t s = 0; s < kSlots; ++s) {
      auto* const part = static_cast<std::byte*>(shared.get()) + 2 * s * kBuffer;
      group.plain.emplace_back(device().allocate(2 * kBuffer), kBuffer);
      group.allocated.emplace_back(std::shared_ptr<void>(shared, part), kBuffer);
    }
    groups_.push_back(std::move(group));
  }

  std::size_t draw(std::size_t below) { return random_() % below; }

  // Draws as often whatever the size of this rank's group is: the next draw is everybody's.
  void start(Slot& slot, std::size_t index) {
    const Group& group = groups_[draw(groups_.size())];
    const std::size_t kind = draw(std::size(kCollectives) + 1), size = draw(8),
                      shape = draw(1 << 20);
    const std::size_t type = draw(std::size(kDTypes)), op = draw(std::size(kReduceOps));
    const bool in_place = draw(2) == 0, allocated = draw(2) == 0;
    const std::size_t count = shape % (size == 0 ? 2 : size < 7 ? 64 : 1800);
    if (kind == std::size(kCollectives)) return shift(slot, group, count);

    const Collective what = kCollectives[kind];
    const int p = group.ranks.size();
    const bool uneven = shape % 3 == 0 && what != Collective::all_to_all;
    const Problem problem{.what = what,
                          .ranks = p,
                          .blocks = uneven && has_blocks(what)
                                        ? uneven_blocks(p, shape)
                                        : Blocks(what == Collective::all_to_all
                                                     ? count / static_cast<std::size_t>(p) *
                                                           static_cast<std::size_t>(p)
                                                     : count,
                                                 p),
                          .dtype = kDTypes[type],
                          .op = kReduceOps[op],
                          .root = static_cast<int>(shape) % p,
                          .place = in_place ? Place::in_place : Place::apart};
    if (!serves(group.ranks, {}, problem)) return;
    const auto side = std::make_shared<Side>(problem, group.ranks.rank());
    const Arena& arena = (allocated ? group.allocated : group.plain)[index];
    slot.work.emplace(arena.submit(group.ranks, device(), problem, *side));
    slot.mistake = [side] { return side->mistake(); };
    slot.text = group.ranks.name() + ": " + problem.text();
  }

  static bool has_blocks(Collective what) {
    return what == Collective::reduce_scatter || what == Collective::all_gather ||
           what == Collective::gather || what == Collective::scatter;
  }

  // Everyone to the next and from the one before, at once.
  void shift(Slot& slot, const Group& group, std::size_t count) {
    const int p = group.ranks.size(), me = group.ranks.rank(), before = (me + p - 1) % p;
    if (p == 1) return;
    Tensor out = Tensor::empty(device(), {static_cast<std::int64_t>(count)}, DType::int32);
    Tensor in = Tensor::empty(device(), {static_cast<std::int64_t>(count)}, DType::int32);
    for (std::size_t i = 0; i < count; ++i)
      out.data<std::int32_t>()[i] = static_cast<std::int32_t>(1000 * i) + me;
    slot.work.emplace(group.ranks.transfer({{Transfer::Direction::send, out, (me + 1) % p},
                                            {Transfer::Direction::receive, in, before}}));
    slot.text = group.ranks.name() + ": shift of " + std::to_string(count);
    slot.mistake = [in, before] {
      for (std::int64_t i = 0; i < in.count(); ++i) {
        if (in.data<std::int32_t>()[i] != 1000 * i + before) return "at " + std::to_string(i);
      }
      return std::string();
    };
  }

  void finish(Slot& slot) {
    if (!slot.work) return;
    slot.work->wait();
    slot.work.reset();
    INFO(text_of(options_) << ", " << slot.text);
    CHECK(slot.mistake() == "");
  }

  // From the last to the first: by then all are complete.
  void finish_all() {
    for (std::size_t s = kSlots; s-- > 0;)
      finish(slots_[s]);
  }

  CommunicatorOptions options_;
  std::vector<Group> groups_;
  Slot slots_[kSlots];
  std::mt19937 random_{20};  // the seed of all ranks
};

}  // namespace

TEST_CASE("ten thousand operations of overlapping groups, in random order", "[mpi]") {
  for (const CommunicatorOptions& options : every_service(context().world()))
    Mixture(options).run(options.algorithm == "auto" ? 10'000 : 200);
}
