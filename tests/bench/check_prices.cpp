// SPDX-License-Identifier: Apache-2.0
// How well a profile prices collectives at sizes that calibration did not use.
//
//   mpirun -np 2 check_prices [SECONDS [SEED [COLLECTIVE...]]]
//
// Calibrates the curves of every candidate as `lockstep calibrate` does, and times every candidate
// at two random sizes between each two powers of 8, in the same rounds: the machine drifts for both
// alike, and no curve has seen the sizes it is judged on. Prints the errors of the prices, what the
// choice by price costs, and the noise floor: the medians of even rounds against those of odd ones.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

#include "collectives/backends/table.hpp"
#include "perfmodels/calibrate/collective_curves.hpp"
#include "perfmodels/collective_price.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/context/binding.hpp"
#include "runtime/device/device.hpp"

using namespace lockstep;

namespace {

constexpr int kRounds = 6;
constexpr double kFirst = 0.2, kMissed = 0.05;

struct Errors {
  std::vector<double> values;  // signed shares

  void print(const char* name) const {
    if (values.empty()) return;
    std::vector<double> sizes;
    double sum = 0;
    for (const double v : values) {
      sizes.push_back(std::abs(v));
      sum += std::abs(v);
    }
    std::sort(sizes.begin(), sizes.end());
    const auto n = sizes.size();
    const std::size_t p95 = std::min(n - 1, static_cast<std::size_t>(std::ceil(0.95 * n)) - 1);
    std::printf("%-34s %5zu %8.2f %8.2f %8.2f %8.2f %+9.2f\n", name, n, 100 * sum / n,
                100 * median_of(sizes), 100 * sizes[p95], 100 * sizes.back(),
                100 * median_of(values));
  }
};

double median_of_visits(const Samples& samples, std::size_t first, std::size_t step) {
  std::vector<double> medians;
  for (std::size_t v = first; v < samples.num_visits(); v += step)
    medians.push_back(median_of(samples.visits()[v]));
  return medians.empty() ? 0 : median_of(medians);
}

struct Judgement {
  std::map<std::string, Errors> by_operation;
  Errors all, floor, regret, against_library;
  std::vector<std::pair<double, std::string>> worst;
};

void judge(Judgement& judgement, const CollectivePoint& point, const Sampler& sampler,
           const Machine& machine, GroupShape group) {
  group.memory = point.memory;
  double best = HUGE_VAL, cheapest = HUGE_VAL, chosen = 0, library = 0;
  for (std::size_t c = 0; c < point.labels.size(); ++c) {
    const Samples& samples = sampler.samples(point.item, c);
    const double measured = median_of_visits(samples, 0, 1);
    const Price price =
        price_of(machine, point.what, static_cast<double>(point.bytes), group, point.labels[c]);
    if (price.by != "curve") throw LogicError("a candidate without a curve: " + point.labels[c]);
    const double error = price.seconds.value / measured - 1;
    const bool twice = samples.num_visits() > 1;  // else there is no other half
    const double noise =
        twice ? median_of_visits(samples, 0, 2) / median_of_visits(samples, 1, 2) - 1 : 0;
    judgement.all.values.push_back(error);
    judgement.by_operation[name_of(point.what)].values.push_back(error);
    if (twice) judgement.floor.values.push_back(noise);
    judgement.worst.emplace_back(std::abs(error),
                                 std::string(name_of(point.what)) + " " + point.labels[c] + " " +
                                     name_of(point.memory) + " " + std::to_string(point.bytes) +
                                     " bytes: " + std::to_string(measured * 1e6) + " us, noise " +
                                     std::to_string(100 * noise) + " %");
    best = std::min(best, measured);
    if (point.labels[c] == "mpi") library = measured;
    if (price.seconds.value < cheapest) {
      cheapest = price.seconds.value;
      chosen = measured;
    }
  }
  judgement.regret.values.push_back(chosen / best - 1);
  if (library > 0) judgement.against_library.values.push_back(chosen / library - 1);
}

std::vector<Collective> asked_for(int argc, char** argv) {
  std::vector<Collective> all;
  for (int i = 3; i < argc; ++i)
    all.push_back(collective_named(argv[i]));
  if (!all.empty()) return all;
  return {Collective::all_reduce, Collective::reduce_scatter, Collective::all_gather,
          Collective::broadcast};
}

void run(const Context& context, int argc, char** argv) {
  set_threads(0, bind_to_cores(context, Topology()));
  Extent extent;
  extent.seconds = argc > 1 ? std::atof(argv[1]) : 50;
  extent.collectives = asked_for(argc, argv);
  std::mt19937 random(argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1);

  const auto device = make_cpu_device(CommunicationDriver::caller);
  const auto backend = find_backend("auto").make(context.world(), {});
  const double begin = now();
  Sampler sampler(context, 0);  // nothing is ever enough: all are visited in every round
  CollectiveCalibration collectives(sampler, *backend, *device);
  collectives.add_grid(extent);
  sampler.run(kFirst / 2 * extent.seconds, 1);
  for (int i = 0; i < extent.refinements; ++i) {
    const std::size_t first = sampler.size();
    if (collectives.refine(kMissed) > 0)
      sampler.run(kFirst / 2 / extent.refinements * extent.seconds, 1, first);
  }
  const std::size_t calibrated = collectives.points().size();
  std::uniform_real_distribution<double> share(0.05, 0.95);
  for (const Collective what : extent.collectives) {
    for (const MemoryKind memory : {MemoryKind::plain, MemoryKind::shared}) {
      if (memory == MemoryKind::shared && !collectives.shares_memory()) continue;
      for (std::size_t n = extent.least_vector; n < extent.most_vector; n *= 8) {
        for (int k = 0; k < 2; ++k) {
          const double bytes = static_cast<double>(n) * std::pow(8, share(random));
          collectives.add(what, memory, static_cast<std::size_t>(bytes) / 4 * 4);
        }
      }
    }
  }
  sampler.run(extent.seconds - sampler.greatest(now() - begin), kRounds);
  const double seconds = sampler.greatest(now() - begin);
  if (!context.first()) return;

  std::vector<const CollectivePoint*> known;
  for (std::size_t i = 0; i < calibrated; ++i)
    known.push_back(&collectives.points()[i]);
  Machine machine;
  machine.collectives = curves_of(
      known, backend->shape(),
      [&](const CollectivePoint& p, std::size_t c) { return sampler.samples(p.item, c).figure(); });
  Judgement judgement;
  for (std::size_t i = calibrated; i < collectives.points().size(); ++i)
    judge(judgement, collectives.points()[i], sampler, machine, backend->shape());

  std::printf("%d ranks on %d nodes; %zu calibrated points, %zu others, %d rounds, %.0f s\n\n",
              context.size(), context.nodes(), calibrated, collectives.points().size() - calibrated,
              kRounds, seconds);
  std::printf("%-34s %5s %8s %8s %8s %8s %9s\n", "percent", "n", "mean", "median", "p95", "max",
              "signed");
  judgement.all.print("error of the price");
  for (const auto& [name, errors] : judgement.by_operation)
    errors.print(("  " + name).c_str());
  judgement.floor.print("noise: even rounds / odd rounds");
  judgement.regret.print("choice by price / best measured");
  judgement.against_library.print("choice by price / mpi");
  std::sort(judgement.worst.rbegin(), judgement.worst.rend());
  std::printf("\nworst prices\n");
  for (std::size_t i = 0; i < std::min<std::size_t>(judgement.worst.size(), 12); ++i)
    std::printf("  %6.1f %%  %s\n", 100 * judgement.worst[i].first,
                judgement.worst[i].second.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const Context context;
  run(context, argc, argv);
  return 0;
}
