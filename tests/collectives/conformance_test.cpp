// SPDX-License-Identifier: Apache-2.0
// Every operation, type, reduction, backend and algorithm through Communicator, between processes:
// integers that every order sums exactly, and real numbers against MPI's own result in float64.
#include <cmath>
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
  return with_type(t.dtype(), [&](auto zero) {
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
  with_type(dtype, [&](auto zero) {
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
