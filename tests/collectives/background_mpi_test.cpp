// SPDX-License-Identifier: Apache-2.0
// Calls of MPI by the main thread between operations that the communication worker carries out, as
// training has them, and a calibration that measures overlap: results are right, and nobody waits
// for ever.
#include <algorithm>
#include <random>
#include <vector>

#include "collectives/communicator.hpp"
#include "runtime/base/clock.hpp"
#include "tests/collectives/worlds.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

constexpr int kRounds = 20;

void compute(double seconds) {
  for (const double end = now() + seconds; now() < end;) {
  }
}

double greatest(double value) {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, context().world()));
  return value;
}

class Alternation {
 public:
  explicit Alternation(const Communicator& world) : world_(world) {}

  void run(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      communicate(1 + draw(4));
      for (std::size_t k = draw(3); k > 0; --k)
        REQUIRE(greatest(context().rank()) == world_.size() - 1);
      if (draw(4) == 0) world_.barrier().wait();
    }
  }

 private:
  // Several at once behind a time of computing that is each rank's own.
  void communicate(std::size_t several) {
    std::vector<Work> works;
    std::vector<Tensor> tensors;
    for (std::size_t k = 0; k < several; ++k) {
      tensors.push_back(filled(std::int64_t{1} << draw(17)));
      works.push_back(world_.all_reduce(tensors.back(), ReduceOp::max));
    }
    compute(1e-6 * static_cast<double>(own_() % 3000));
    if (draw(2) == 0) {
      while (!works.back().done())
        compute(20e-6);
    }
    for (Work& work : works)
      work.wait();
    for (const Tensor& t : tensors)
      REQUIRE(t.values().back() == static_cast<float>(world_.size() - 1));
  }
  std::size_t draw(std::size_t below) { return random_() % below; }
  Tensor filled(std::int64_t elements) {
    Tensor t = Tensor::empty(device(), {elements});
    std::fill(t.values().begin(), t.values().end(), static_cast<float>(world_.rank()));
    return t;
  }

  const Communicator& world_;
  std::mt19937 random_{7};  // the seed of all ranks
  std::mt19937 own_{static_cast<unsigned>(context().rank())};
};

}  // namespace

TEST_CASE("the main thread calls MPI between operations of the worker", "[mpi]") {
  for (const char* backend : {"auto", "native", "mpi"}) {
    INFO(backend);
    const auto world = Communicator::over(context().world(), device(),
                                          {.backend = backend, .timeout_seconds = 60});
    Alternation(world).run(kRounds);
  }
}
