// SPDX-License-Identifier: Apache-2.0
// Every operation, type, reduction, backend and algorithm through Communicator, between processes:
// integers that every order sums exactly, real numbers against MPI's own result in float64, and ten
// thousand operations of overlapping groups in random order.
#include <cmath>
#include <functional>
#include <optional>
#include <random>

#include "tests/collectives/worlds.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

constexpr std::size_t kLarge = 300'001;
constexpr std::size_t kSmallArena = 1 << 17, kLargeArena = kLarge * sizeof(float);  // bytes

enum class Memory : std::uint8_t { plain, allocated };

// One world of each kind with its buffers, made once: communicators are dear, and MPI runs out.
struct Served {
  CommunicatorOptions options;
  Communicator world;
  Arena plain, allocated;

  const Arena& arena(Memory memory) const { return memory == Memory::plain ? plain : allocated; }
};

Device& device() {
  static const auto the_device = make_cpu_device();
  return *the_device;
}

std::vector<Served> make_every_world(std::size_t arena = kSmallArena) {
  std::vector<Served> all;
  for (const CommunicatorOptions& options : every_service(context().world())) {
    const auto world = Communicator::world(context(), device(), options);
    all.push_back({options, world, Arena(device().allocate(2 * arena), arena),
                   Arena(world.allocate(2 * arena), arena)});
  }
  return all;
}

void check(const Served& served, const Problem& problem, Memory memory) {
  if (!serves(served.world, served.options, problem)) return;
  Side side(problem, served.world.rank());
  served.arena(memory).submit(served.world, device(), problem, side).wait();
  INFO(text_of(served.options) << ": " << problem.text()
                               << (memory == Memory::plain ? ", plain" : ", allocated"));
  CHECK(side.mistake() == "");
}

void check_everywhere(const Served& served, Problem problem) {
  for (const Place place : {Place::apart, Place::in_place}) {
    problem.place = place;
    for (const Memory memory : {Memory::plain, Memory::allocated})
      check(served, problem, memory);
  }
}

Blocks even_blocks(Collective what, std::size_t count, int p) {
  return {what == Collective::all_to_all ? count * static_cast<std::size_t>(p) : count, p};
}

// Some empty, one much larger than the rest.
Blocks uneven_blocks(int p, std::size_t seed) {
  std::vector<std::size_t> counts;
  for (int r = 0; r < p; ++r) {
    const std::size_t k = seed + static_cast<std::size_t>(r) * 7;
    counts.push_back(k % 3 == 0 ? 0 : k % 5 == 0 ? 1000 : k % 19);
  }
  return Blocks(counts);
}

int num_ranks() {
  return context().size();
}

}  // namespace

TEST_CASE("every operation, type and reduction, in place and apart", "[mpi]") {
  const int p = num_ranks();
  for (const Served& served : make_every_world()) {
    for (const Collective what : kCollectives) {
      const Blocks blocks = even_blocks(what, static_cast<std::size_t>(p) + 1, p);
      for (const DType dtype : kDTypes) {
        for (const ReduceOp op : kReduceOps) {
          if (!reduces(what) && op != ReduceOp::sum) continue;
          check_everywhere(served, {.what = what,
                                    .ranks = p,
                                    .blocks = blocks,
                                    .dtype = dtype,
                                    .op = op,
                                    .root = p - 1});
        }
      }
    }
  }
}

TEST_CASE("every count and root", "[mpi]") {
  const int p = num_ranks();
  const auto ranks = static_cast<std::size_t>(p);
  for (const Served& served : make_every_world(kLargeArena)) {
    for (const Collective what : kCollectives) {
      for (int root = 0; root < (has_root(what) ? p : 1); ++root) {
        for (const std::size_t count :
             {std::size_t{0}, std::size_t{1}, ranks - 1, ranks, ranks + 1, std::size_t{1000}}) {
          check_everywhere(
              served,
              {.what = what, .ranks = p, .blocks = even_blocks(what, count, p), .root = root});
        }
      }
      // all_to_all: as much in all.
      const Blocks large(what == Collective::all_to_all ? kLarge / ranks * ranks : kLarge, p);
      Problem problem{.what = what, .ranks = p, .blocks = large, .root = p / 2};
      check(served, problem, Memory::plain);
      problem.place = Place::in_place;
      check(served, problem, Memory::allocated);
    }
  }
}

TEST_CASE("blocks that are uneven, and empty", "[mpi]") {
  const int p = num_ranks();
  for (const Served& served : make_every_world()) {
    for (const Collective what : {Collective::reduce_scatter, Collective::all_gather,
                                  Collective::gather, Collective::scatter}) {
      for (const DType dtype : {DType::float32, DType::bfloat16, DType::uint8}) {
        for (const std::size_t seed : {1, 2, 3, 10}) {
          check_everywhere(served, {.what = what,
                                    .ranks = p,
                                    .blocks = uneven_blocks(p, seed),
                                    .dtype = dtype,
                                    .root = static_cast<int>(seed) % p});
        }
      }
    }
  }
}

namespace {

// Half the distance of 1 to its successor: what one rounding may change, relatively.
double roundoff(DType dtype) {
  switch (dtype) {
    case DType::float64:
      return 0x1p-53;
    case DType::float32:
      return 0x1p-24;
    case DType::float16:
      return 0x1p-11;
    default:
      return 0x1p-8;  // bfloat16
  }
}

double value_at(const Tensor& t, std::int64_t i) {
  return detail::with_type(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return static_cast<double>(static_cast<std::conditional_t<sizeof(T) == 2, float, T>>(
        reinterpret_cast<const T*>(t.raw())[i]));
  });
}

// Of either sign, magnitudes from 1/2 to 2: products of eight stay normal in every type.
Tensor random_values(std::int64_t count, DType dtype, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> exponent(-1, 1);
  Tensor t = Tensor::empty(device(), {count}, dtype);
  detail::with_type(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < count; ++i) {
      const double x = std::exp2(exponent(random)) * (random() % 2 ? 1 : -1);
      reinterpret_cast<T*>(t.raw())[i] =
          T(static_cast<std::conditional_t<sizeof(T) == 2, float, T>>(x));
    }
    return 0;
  });
  return t;
}

std::vector<double> doubles_of(const Tensor& t) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < t.count(); ++i)
    values.push_back(value_at(t, i));
  return values;
}

std::vector<double> mpi_result(std::vector<double> values, MPI_Op op) {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_DOUBLE,
                          op, context().world()));
  return values;
}

MPI_Op mpi_op(ReduceOp op) {
  if (op == ReduceOp::product) return MPI_PROD;
  if (op == ReduceOp::min) return MPI_MIN;
  return op == ReduceOp::max ? MPI_MAX : MPI_SUM;
}

// MPI's answer in float64, and how far from it a result may be. A sum or product of p terms in any
// order has p-1 partial results; each is rounded once, to the type of the data where it travels (so
// 16-bit types lose their 2^-8 or 2^-11 per hop), by at most u times the sum of the magnitudes (a
// product: times itself). An average is rounded once more, perhaps to a subnormal. float64 is
// compared with a float64 that has errors of its own: twice as much. Extrema are exact.
struct Reference {
  std::vector<double> wanted, bound;

  Reference(const Tensor& data, ReduceOp op) : wanted(mpi_result(doubles_of(data), mpi_op(op))) {
    const int p = num_ranks();
    const double u = roundoff(data.dtype()) * (data.dtype() == DType::float64 ? 2 : 1);
    std::vector<double> magnitudes = doubles_of(data);
    for (double& x : magnitudes)
      x = std::abs(x);
    bound = mpi_result(magnitudes, op == ReduceOp::product ? MPI_PROD : MPI_SUM);
    for (std::size_t i = 0; i < bound.size(); ++i) {
      if (op == ReduceOp::average) wanted[i] /= p;
      const double scale = op == ReduceOp::average ? 1.0 / p : 1;
      const bool exact = op == ReduceOp::min || op == ReduceOp::max;
      bound[i] = exact ? 0 : p * u * scale * bound[i] + 0x1p-25 * (u > 0x1p-20);
    }
  }

  // Of `result`, which begins at element `begin`; "" if all is within bounds.
  std::string mistake(const Tensor& result, std::size_t begin) const {
    for (std::int64_t i = 0; i < result.count(); ++i) {
      const std::size_t at = begin + static_cast<std::size_t>(i);
      const double got = value_at(result, i);
      if (std::abs(got - wanted[at]) <= bound[at]) continue;
      return std::to_string(got) + " for " + std::to_string(wanted[at]) + " at " +
             std::to_string(at);
    }
    return "";
  }
};

// Reduces the same random numbers by every collective that reduces.
void check_real(const Served& served, DType dtype, ReduceOp op, const Tensor& data,
                const Reference& reference) {
  const int p = num_ranks();
  const Blocks blocks(static_cast<std::size_t>(data.count()), p);
  for (const Collective what :
       {Collective::all_reduce, Collective::reduce_scatter, Collective::reduce}) {
    const Problem problem{.what = what, .ranks = p, .blocks = blocks, .dtype = dtype, .op = op};
    if (!serves(served.world, served.options, problem)) continue;
    const bool scatters = what == Collective::reduce_scatter;
    const Block own = scatters ? blocks[served.world.rank()] : Block{0, blocks.total()};
    Tensor result = Tensor::empty(device(), {static_cast<std::int64_t>(own.count)}, dtype);
    submit(served.world, problem, result, data).wait();
    if (what == Collective::reduce && served.world.rank() != problem.root) continue;
    INFO(text_of(served.options) << ": " << problem.text());
    CHECK(reference.mistake(result, own.begin) == "");
  }
}

}  // namespace

TEST_CASE("real numbers are reduced to MPI's result in float64", "[mpi]") {
  const std::vector<Served> worlds = make_every_world();
  for (const DType dtype : {DType::float32, DType::float64, DType::bfloat16, DType::float16}) {
    const Tensor data = random_values(2003, dtype, static_cast<unsigned>(context().rank()) + 1);
    for (const ReduceOp op : kReduceOps) {
      const Reference reference(data, op);
      for (const Served& served : worlds)
        check_real(served, dtype, op, data, reference);
    }
  }
}

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
