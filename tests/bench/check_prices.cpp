// SPDX-License-Identifier: Apache-2.0
// How well a profile prices collectives at sizes that calibration did not use.
//
//   mpirun -np 2 check_prices [SECONDS [SEED [COLLECTIVE...]]] [> REPORT]
//
// Calibrates the curves of every candidate as `lockstep calibrate` does, and times every candidate
// at two random sizes between each two powers of 8, in the same rounds: the machine drifts for both
// alike, and no curve has seen the sizes it is judged on. As many rounds of short visits as there
// is time for: a median over many moments is of the machine, not of a moment. Too little time
// leaves visits out, by chance; of fewer than three nothing is judged. Where the host moved the
// cores meanwhile (rounds.hpp), the rounds of the state that most of them found are judged, and all
// are printed as well. Prints the errors of the prices beside the noise floor (even against odd
// rounds) and simpler answers, and what the choice by price costs. Exit status 1 where a bar is
// missed. With LOCKSTEP_SAMPLES=FILE every visit's median is written there.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>

#include "collectives/backends/table.hpp"
#include "collectives/transports/mpi.hpp"
#include "collectives/transports/nodes.hpp"
#include "perfmodels/calibrate/links.hpp"
#include "perfmodels/calibrate/shared_costs.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/context/binding.hpp"
#include "runtime/device/device.hpp"
#include "tests/bench/price_errors.hpp"

using namespace lockstep;

namespace {

constexpr int kFewestRounds = 12, kMostRounds = 60;
constexpr double kRoom = 1.3;        // a round may take, of what it must
constexpr double kSameState = 0.25;  // rounds no further apart than that
constexpr double kFirst = 0.1;       // of the time, for the first round; as much for midpoints
constexpr int kSizesBetween = 2;     // two powers of 8
constexpr double kMissed = 0.05;

std::vector<Collective> asked_for(int argc, char** argv) {
  std::vector<Collective> all;
  for (int i = 3; i < argc; ++i)
    all.push_back(collective_named(argv[i]));
  if (!all.empty()) return all;
  return {Collective::all_reduce, Collective::reduce_scatter, Collective::all_gather,
          Collective::broadcast,  Collective::reduce,         Collective::all_to_all,
          Collective::gather,     Collective::scatter};
}

// What the closed formulas need, where all ranks are on one node.
struct Links {
  std::unique_ptr<Transport> net;
  LinkCalibration messages;
  SharedCalibration shared;

  Links(const Context& context, Sampler& sampler, const Extent& extent)
      : net(make_transport(duplicate(context.world()))),
        messages(sampler, *net, pair_inside(nodes_of(context.world()), context.rank()), "inside",
                 extent),
        shared(sampler, *net) {}
};

void add_unseen(CollectiveCalibration& collectives, const Extent& extent, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> share(0.05, 0.95);
  for (const Collective what : extent.collectives) {
    for (const MemoryKind memory : {MemoryKind::plain, MemoryKind::shared}) {
      if (memory == MemoryKind::shared && !collectives.shares_memory()) continue;
      for (std::size_t n = extent.least_vector; n < extent.most_vector; n *= 8) {
        for (int k = 0; k < kSizesBetween; ++k) {
          const double bytes = static_cast<double>(n) * std::pow(8, share(random));
          collectives.add(what, memory, static_cast<std::size_t>(bytes) / 4 * 4);
        }
      }
    }
  }
}

// The curves of the calibrated points, medians of those rounds.
Machine curves_in(const CollectiveCalibration& collectives, std::size_t calibrated,
                  const GroupShape& group, const Rounds& rounds, const Rounds::Kept& kept) {
  std::vector<const CollectivePoint*> known;
  for (std::size_t i = 0; i < calibrated; ++i) {
    const CollectivePoint& point = collectives.points()[i];
    if (rounds.median(point.item, 0, kept, kLeastVisits) > 0) known.push_back(&point);
  }
  Machine machine;
  machine.collectives = curves_of(known, group, [&](const CollectivePoint& p, std::size_t c) {
    return Figure{rounds.median(p.item, c, kept, kLeastVisits)};
  });
  return machine;
}

void write_samples(const char* path, const std::vector<CollectivePoint>& points,
                   std::size_t calibrated, const Sampler& sampler) {
  std::FILE* file = path ? std::fopen(path, "w") : nullptr;
  if (!file) return;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const CollectivePoint& p = points[i];
    for (std::size_t c = 0; c < p.labels.size(); ++c) {
      std::fprintf(file, "%s %s %s %zu %s", i < calibrated ? "curve" : "unseen", name_of(p.what),
                   name_of(p.memory), p.bytes, p.labels[c].c_str());
      for (const std::vector<double>& visit : sampler.samples(p.item, c).visits())
        std::fprintf(file, " %.9g", median_of(visit));
      std::fprintf(file, "\n");
    }
  }
  std::fclose(file);
}

int run(const Context& context, int argc, char** argv) {
  set_threads(0, bind_to_cores(context, Topology()));
  Extent extent;
  extent.seconds = argc > 1 ? std::atof(argv[1]) : 50;
  extent.collectives = asked_for(argc, argv);

  const auto device = make_cpu_device(CommunicationDriver::caller);
  const auto backend = find_backend("auto").make(context.world(), {});
  const double begin = now();
  Sampler sampler(context, 0);  // nothing is ever enough: all are visited in every round
  std::optional<Links> links;
  if (context.nodes() == 1) links.emplace(context, sampler, extent);
  CollectiveCalibration collectives(sampler, *backend, *device);
  collectives.add_grid(extent);
  Rounds rounds(sampler);
  sampler.run(kFirst * extent.seconds, 1);
  for (int i = 0; i < extent.refinements; ++i) {
    const std::vector<std::size_t> items = collectives.refine(kMissed);
    if (!items.empty()) sampler.run(kFirst / extent.refinements * extent.seconds, 1, items);
  }
  const std::size_t calibrated = collectives.points().size();
  const std::size_t unseen = sampler.size();
  add_unseen(collectives, extent, argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1);
  sampler.run(kFirst * extent.seconds, 1, unseen);
  rounds.note();
  const double time = extent.seconds - sampler.greatest(now() - begin);
  const double affordable = time / (kRoom * sampler.least_seconds());
  for (int left = static_cast<int>(std::clamp<double>(affordable, kFewestRounds, kMostRounds));
       left > 0; --left) {
    sampler.run((extent.seconds - sampler.greatest(now() - begin)) / left, 1);
    rounds.note();
  }
  if (!context.first()) return 0;

  write_samples(std::getenv("LOCKSTEP_SAMPLES"), collectives.points(), calibrated, sampler);
  std::printf("%d ranks on %d nodes; %zu calibrated points, %zu others, %d rounds, %.0f s\n",
              context.size(), context.nodes(), calibrated, collectives.points().size() - calibrated,
              rounds.count(), now() - begin);
  const std::vector<double> slowness = rounds.slowness(
      {collectives.points().begin(), collectives.points().begin() + std::ptrdiff_t(calibrated)});
  const std::vector<bool> in = steady(slowness, kSameState);
  std::printf("each round, by how much slower than the fastest visits:");
  for (std::size_t r = 0; r < slowness.size(); ++r)
    std::printf(" %.2f%s", slowness[r], in[r] ? "" : "*");
  const auto judge = [&](const Rounds::Kept& kept) {
    Machine machine = curves_in(collectives, calibrated, backend->shape(), rounds, kept);
    if (links) machine.links.push_back(links->messages.profile());
    if (links) machine.shared = links->shared.profile();
    PriceErrors errors(machine, backend->shape(), rounds, kept);
    for (std::size_t i = calibrated; i < collectives.points().size(); ++i)
      errors.add(collectives.points()[i]);
    return errors.print();
  };
  std::printf("\n\nAll rounds, whatever state the machine was in\n\n");
  bool holds = judge([](int) { return true; });
  if (std::find(in.begin(), in.end(), false) == in.end()) return holds ? 0 : 1;
  std::printf("\nOnly the rounds of one state, those without a star: this is judged\n\n");
  holds = judge([&](int r) { return in[static_cast<std::size_t>(r)]; });
  return holds ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const Context context;
  return run(context, argc, argv);
}
