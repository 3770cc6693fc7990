// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/calibrate.hpp"

#include <ctime>
#include <optional>

#include "collectives/backends/table.hpp"
#include "collectives/communicator.hpp"
#include "collectives/transports/mpi.hpp"
#include "collectives/transports/nodes.hpp"
#include "perfmodels/calibrate/collective_curves.hpp"
#include "perfmodels/calibrate/compute.hpp"
#include "perfmodels/calibrate/drift.hpp"
#include "perfmodels/calibrate/links.hpp"
#include "perfmodels/calibrate/overlap.hpp"
#include "perfmodels/calibrate/shared_costs.hpp"
#include "perfmodels/calibrate/skew.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/context/topology.hpp"

namespace lockstep {

namespace {

constexpr double kMissed = 0.05;  // of a midpoint by its neighbours: it is measured
constexpr int kMostBisections = 8;
constexpr double kFirstShare = 0.4;  // of the time, for the first round of everything

// Everything between ranks, for as long as the calibration takes.
class Groups {
 public:
  Groups(const Context& context, Sampler& sampler, Device& device, const Extent& extent)
      : net_(make_transport(duplicate(context.world()))),
        backend_(find_backend("auto").make(context.world(), {})),
        collectives_(sampler, *backend_, device),
        skew_(context, sampler, device, extent) {
    const std::vector<int> nodes = nodes_of(context.world());
    if (context.size() > context.nodes()) {
      Transport& inside = context.nodes() > 1 ? net_->inside() : *net_;
      levels_.push_back(std::make_unique<LinkCalibration>(
          sampler, inside, inside_pairing(nodes, context.rank(), inside), "inside", extent));
    }
    if (context.nodes() > 1) {
      levels_.push_back(std::make_unique<LinkCalibration>(
          sampler, *net_, pair_across(nodes, context.rank()), "across", extent));
    }
    shared_.emplace(sampler, *net_);
    collectives_.add_grid(extent);
    if (!context.threads_allowed()) return;
    worker_ = make_cpu_device();
    world_ = Communicator::world(context, *worker_);
    overlap_.emplace(sampler, *world_, *worker_);
  }

  // What the first round leaves open.
  void find_jumps(Sampler& sampler, double seconds) {
    for (const auto& level : levels_) {
      for (int i = 0; i < kMostBisections && level->refine(); ++i)
        sampler.run(seconds / kMostBisections, 1, sampler.size() - 1);
    }
  }
  void refine(Sampler& sampler, double seconds, int times) {
    for (int i = 0; i < times; ++i) {
      const std::size_t first = sampler.size();
      if (collectives_.refine(kMissed) == 0) return;
      sampler.run(seconds / times, 1, first);
    }
  }

  void fill(Calibration& result) const {
    Machine& machine = result.machine;
    for (const auto& level : levels_) {
      machine.links.push_back(level->profile());
      result.fits.push_back(
          {machine.links.back().level, level->fit().median_error, level->fit().worst_error});
    }
    machine.shared = shared_->profile();
    machine.collectives = collectives_.curves();
    if (overlap_) machine.overlap = overlap_->profile();
    machine.skew = skew_.profile();
  }
  std::vector<std::size_t> items() const {
    std::vector<std::size_t> all;
    for (const CollectivePoint& p : collectives_.points())
      all.push_back(p.item);
    return all;
  }

 private:
  // Ranks of the node's own transport are numbered within it.
  static Pairing inside_pairing(const std::vector<int>& nodes, int rank, const Transport& inside) {
    Pairing pairing = pair_inside(nodes, rank);
    const bool renumbered = inside.size() < std::ssize(nodes);
    if (pairing.peer >= 0 && renumbered)
      pairing.peer = inside.rank() + (pairing.peer - rank > 0 ? 1 : -1);
    return pairing;
  }

  std::unique_ptr<Transport> net_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::unique_ptr<LinkCalibration>> levels_;
  std::optional<SharedCalibration> shared_;
  CollectiveCalibration collectives_;
  SkewCalibration skew_;
  std::unique_ptr<Device> worker_;
  std::optional<Communicator> world_;
  std::optional<OverlapCalibration> overlap_;
};

std::string today() {
  const std::time_t at = std::time(nullptr);
  std::tm date{};
  gmtime_r(&at, &date);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &date);
  return text;
}

std::string count_of(int n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

Machine describe(const Context& context, int threads) {
  const Hardware hardware = Topology().hardware();
  const std::string layout =
      count_of(context.size(), "rank") + " on " + count_of(context.nodes(), "node");
  Machine m;
  m.name = (hardware.processor.empty() ? "CPUs" : hardware.processor) + ", " + layout;
  m.source = context.broadcast("lockstep calibrate, " + today());
  m.calibrated = true;
  m.nodes = context.nodes();
  m.devices_per_node = (context.size() + context.nodes() - 1) / context.nodes();
  m.cores_per_node = hardware.cores;
  m.threads_per_device = threads;
  m.memory_bytes = static_cast<double>(hardware.memory_bytes) / m.devices_per_node;
  return m;
}

}  // namespace

Calibration calibrate(const Context& context, const Extent& extent, int threads) {
  const double begin = now();
  const auto device = make_cpu_device(CommunicationDriver::caller);
  Sampler sampler(context, extent.narrow);
  const ComputeCalibration compute(sampler, *device, extent);
  std::optional<Groups> groups;
  if (context.size() > 1) groups.emplace(context, sampler, *device, extent);

  sampler.run(kFirstShare * extent.seconds, 1);
  if (groups) {
    groups->find_jumps(sampler, 0.02 * extent.seconds);
    groups->refine(sampler, 0.1 * extent.seconds, extent.refinements);
  }
  const double left = extent.seconds - sampler.greatest(now() - begin);
  if (extent.rounds > 1) sampler.run(left, extent.rounds - 1);

  Calibration result;
  result.machine = describe(context, threads);
  result.machine.compute.push_back(compute.profile());
  if (groups) groups->fill(result);
  result.machine.drift = {.source = "measured, between " + count_of(extent.rounds, "round"),
                          .compute = drift_of(sampler, compute.items(Found::cached)),
                          .memory = drift_of(sampler, compute.items(Found::in_memory)),
                          .collectives = groups ? drift_of(sampler, groups->items()) : 0};
  result.seconds = sampler.greatest(now() - begin);
  result.measurements = sampler.size();
  result.samples = sampler.num_samples();
  result.outliers = sampler.num_outliers();
  return result;
}

}  // namespace lockstep
