// SPDX-License-Identifier: Apache-2.0
// How well a profile prices collectives at sizes that calibration did not use.
//
//   mpirun -np 2 check_prices [SECONDS [SEED [COLLECTIVE...]]] [> REPORT]
//
// Calibrates the curves of every candidate as `lockstep calibrate` does, and times every candidate
// at two random sizes between each two powers of 8, in the same rounds: the machine drifts for both
// alike, and no curve has seen the sizes it is judged on. As many rounds of short visits as there
// is time for: a median over many moments is of the machine, not of a moment. Too little time
// leaves visits out, by chance; of fewer than three nothing is judged.
//
// Where the host moves the cores meanwhile, the visits of the state that most of them found are
// judged (visits.hpp), and all are printed as well. Prints the errors of the prices beside the
// noise of the reference and simpler answers, and what the choice by price costs. Exit status 1
// where a bar is missed.
//
// With LOCKSTEP_VISITS=FILE the visits are kept there, and a later call goes on with the points of
// the file: work is split over times when the machine is free, and 0 SECONDS only judge.
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
#include "perfmodels/calibrate/meeting.hpp"
#include "perfmodels/calibrate/shared_costs.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/context/binding.hpp"
#include "runtime/device/device.hpp"
#include "tests/bench/price_errors.hpp"

using namespace lockstep;

namespace {

constexpr int kFewestRounds = 12, kMostRounds = 60;
constexpr double kRoom = 1.3;     // a round may take, of what it must
constexpr double kFirst = 0.1;    // of the time, for the first round; as much for midpoints
constexpr int kSizesBetween = 2;  // two powers of 8
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

class Run {
 public:
  Run(const Context& context, const Extent& extent, const std::string& file)
      : extent_(extent),
        group_(find_backend("auto").make(context.world(), {})),
        sampler_(context, 0),  // nothing is ever enough: all are visited in every round
        begin_(now()) {
    if (!file.empty()) points_ = read_visits(file);
    if (context.nodes() == 1) links_.emplace(context, sampler_, extent);
    collectives_.emplace(sampler_, *group_, *device_);
    watch_meetings(sampler_, context, *group_);
  }

  void measure(unsigned seed) {
    points_.empty() ? explore(seed) : go_on();
    const double affordable = left() / (kRoom * sampler_.least_seconds());
    for (int rounds = static_cast<int>(std::clamp<double>(affordable, kFewestRounds, kMostRounds));
         rounds > 0; --rounds)
      sampler_.run(left() / rounds, 1);
    take_visits();
  }

  const std::vector<VisitedPoint>& points() const { return points_; }
  double seconds() const { return now() - begin_; }

  // By the visits that are kept; whether every bar holds.
  bool judge(const Kept& kept) const {
    Machine machine;
    machine.collectives = curves(kept);
    const bool measured = extent_.seconds > 0 && links_;
    if (measured) machine.links.push_back(links_->messages.profile());
    if (measured) machine.shared = links_->shared.profile();
    PriceErrors errors(machine, group_->shape(), kept);
    for (const VisitedPoint& p : points_) {
      if (!p.calibrated) errors.add(p);
    }
    return errors.print();
  }

 private:
  double left() const { return extent_.seconds - sampler_.greatest(now() - begin_); }

  // The points that a calibration takes, and others.
  void explore(unsigned seed) {
    collectives_->add_grid(extent_);
    sampler_.run(kFirst * extent_.seconds, 1);
    for (int i = 0; i < extent_.refinements; ++i) {
      const std::vector<std::size_t> items = collectives_->refine(kMissed);
      if (!items.empty()) sampler_.run(kFirst / extent_.refinements * extent_.seconds, 1, items);
    }
    const std::size_t calibrated = collectives_->points().size(), unseen = sampler_.size();
    add_unseen(seed);
    sampler_.run(kFirst * extent_.seconds, 1, unseen);
    for (const CollectivePoint& p : collectives_->points())
      points_.push_back({.point = p, .calibrated = points_.size() < calibrated});
  }

  // Those of the file.
  void go_on() {
    for (VisitedPoint& p : points_) {
      collectives_->add(p.point.what, p.point.memory, p.point.bytes);
      expect(collectives_->points().back().labels == p.point.labels, "a file of other candidates");
      p.point = collectives_->points().back();
    }
    sampler_.run(kFirst * extent_.seconds, 1);
  }

  void add_unseen(unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> share(0.05, 0.95);
    for (const Collective what : extent_.collectives) {
      for (const MemoryKind memory : {MemoryKind::plain, MemoryKind::shared}) {
        if (memory == MemoryKind::shared && !collectives_->shares_memory()) continue;
        for (std::size_t n = extent_.least_vector; n < extent_.most_vector; n *= 8) {
          for (int k = 0; k < kSizesBetween; ++k) {
            const double bytes = static_cast<double>(n) * std::pow(8, share(random));
            collectives_->add(what, memory, static_cast<std::size_t>(bytes) / 4 * 4);
          }
        }
      }
    }
  }

  void take_visits() {
    for (VisitedPoint& p : points_) {
      const std::vector<Watched>& watched = sampler_.watched(p.point.item);
      for (std::size_t v = 0; v < watched.size(); ++v) {
        Visit visit{watched[v], {}};
        for (std::size_t c = 0; c < p.point.labels.size(); ++c)
          visit.seconds.push_back(median_of(sampler_.samples(p.point.item, c).visits()[v]));
        p.visits.push_back(std::move(visit));
      }
    }
  }

  std::vector<CollectiveCurve> curves(const Kept& kept) const {
    std::vector<const CollectivePoint*> known;
    std::map<const CollectivePoint*, const VisitedPoint*> visited;
    for (const VisitedPoint& p : points_) {
      if (!p.calibrated || median_of(p, 0, kept) == 0) continue;
      known.push_back(&p.point);
      visited[&p.point] = &p;
    }
    return curves_of(known, group_->shape(), [&](const CollectivePoint& p, std::size_t c) {
      return Figure{median_of(*visited.at(&p), c, kept)};
    });
  }

  Extent extent_;
  std::unique_ptr<Device> device_ = make_cpu_device(CommunicationDriver::caller);
  std::unique_ptr<Backend> group_;
  Sampler sampler_;
  double begin_;
  std::optional<Links> links_;
  std::optional<CollectiveCalibration> collectives_;
  std::vector<VisitedPoint> points_;
};

int run(const Context& context, int argc, char** argv) {
  set_threads(0, bind_to_cores(context, Topology()));
  Extent extent;
  extent.seconds = argc > 1 ? std::atof(argv[1]) : 50;
  extent.collectives = asked_for(argc, argv);
  const char* file = std::getenv("LOCKSTEP_VISITS");
  Run run(context, extent, file ? file : "");
  if (extent.seconds > 0) run.measure(argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1);
  if (!context.first()) return 0;

  if (file && extent.seconds > 0) write_visits(file, run.points());
  std::size_t calibrated = 0, visits = 0;
  for (const VisitedPoint& p : run.points()) {
    calibrated += p.calibrated ? 1 : 0;
    visits += p.visits.size();
  }
  std::printf("%d ranks on %d nodes; %zu calibrated points, %zu others, %.1f visits each, %.0f s\n",
              context.size(), context.nodes(), calibrated, run.points().size() - calibrated,
              static_cast<double>(visits) / static_cast<double>(run.points().size()),
              run.seconds());
  const std::vector<MachineState> states = states_of(run.points());
  for (const MachineState& s : states)
    std::printf("%5.1f %% of the visits in a state where ranks meet in %.2f to %.2f us\n",
                100 * s.share, 1e6 * s.least, 1e6 * s.most);
  std::printf("\nAll visits, whatever state the machine was in\n\n");
  bool holds = run.judge([](const Visit&) { return true; });
  if (states.front().share == 1) return holds ? 0 : 1;
  std::printf("\nOnly the visits of the first of these states: this is judged\n\n");
  holds = run.judge([&](const Visit& v) { return states.front().holds(v); });
  return holds ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const Context context;
  return run(context, argc, argv);
}
