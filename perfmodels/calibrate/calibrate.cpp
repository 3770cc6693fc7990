// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/calibrate.hpp"

#include <algorithm>
#include <ctime>
#include <deque>
#include <optional>

#include "collectives/backends/table.hpp"
#include "collectives/communicator.hpp"
#include "collectives/transports/mpi.hpp"
#include "collectives/transports/nodes.hpp"
#include "perfmodels/calibrate/collective_curves.hpp"
#include "perfmodels/calibrate/compute.hpp"
#include "perfmodels/calibrate/device_group.hpp"
#include "perfmodels/calibrate/drift.hpp"
#include "perfmodels/calibrate/links.hpp"
#include "perfmodels/calibrate/meeting.hpp"
#include "perfmodels/calibrate/overlap.hpp"
#include "perfmodels/calibrate/shared_costs.hpp"
#include "perfmodels/calibrate/skew.hpp"
#include "perfmodels/collective_price.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/context/topology.hpp"

namespace lockstep {

namespace {

constexpr double kMissed = 0.05;  // of a midpoint by its neighbours: it is measured
constexpr int kMostBisections = 8;
constexpr double kFirstShare = 0.2;    // of the time, for the first round of kernels and links
constexpr double kBrief = 1.0 / 2000;  // of the time: what a first visit takes at most, if it can
constexpr double kMadeUp = 0.1;        // of the time: for what found the machine in rarer states
constexpr double kOverlapped = 10e-3;  // seconds that an all-reduce beside computation may take
constexpr std::int64_t kLeastElements = 1 << 8;  // of that all-reduce

// Everything between ranks, for as long as the calibration takes. Links come first: they say what
// collectives are going to take.
class Groups {
 public:
  Groups(const Context& context, Sampler& sampler, Device& device, const Extent& extent)
      : context_(context),
        sampler_(sampler),
        gpu_(device.kind() == DeviceKind::cuda ? &device : nullptr),
        overlapped_{extent.overlapped_elements, extent.busy_width / 2, extent.overlapping_seconds},
        backend_(make_backend(context, gpu_)),
        net_(gpu_ ? make_device_messages(*backend_, nodes_of(context.world()))
                  : make_transport(duplicate(context.world()))),
        collectives_(sampler, *backend_, device),
        skew_(context, sampler, device, extent) {
    watch_meetings(sampler, context, *backend_);
    const std::vector<int> nodes = nodes_of(context.world());
    Transport* inside = net_.get();
    if (context.size() > context.nodes()) {
      if (context.nodes() > 1 && !gpu_) inside = &net_->inside();
      levels_.push_back(std::make_unique<LinkCalibration>(
          sampler, TimedMessages{*inside, gpu_}, inside_pairing(nodes, context.rank(), *inside),
          "inside", extent));
    }
    if (context.nodes() > 1) {
      levels_.push_back(std::make_unique<LinkCalibration>(sampler, TimedMessages{*net_, gpu_},
                                                          pair_across(nodes, context.rank()),
                                                          "across", extent));
    }
    if (!gpu_) shared_.emplace(sampler, *inside);
  }

  // What the first round leaves open.
  void find_jumps(double seconds) {
    for (const auto& level : levels_) {
      for (int i = 0; i < kMostBisections && level->refine(); ++i)
        sampler_.run(seconds / kMostBisections, 1, sampler_.size() - 1);
    }
  }

  void survey_collectives(const Extent& extent, double seconds) {
    if (context_.nodes() == 1) add_overlap();
    collectives_.survey(extent, links_of(known()), seconds, kBrief * extent.seconds);
  }
  // Between nodes overlap comes last: its worker lives on, and wakes up now and then, some 30 us of
  // a message where ranks outnumber cores.
  void end() {
    if (context_.nodes() > 1) add_overlap();
  }
  void refine(double seconds, int times) {
    for (int i = 0; i < times; ++i) {
      const std::vector<std::size_t> items = collectives_.refine(kMissed);
      if (items.empty()) return;
      sampler_.run(seconds / times, 1, items);
    }
  }

  void fill(Calibration& result) const {
    Machine& machine = result.machine;
    for (const auto& level : levels_) {
      machine.links.push_back(level->profile());
      result.fits.push_back(
          {machine.links.back().level, level->fit().median_error, level->fit().worst_error});
      if (!level->left_out().empty()) result.left_out.push_back(level->left_out());
    }
    machine.shared = local_steps(machine.compute.front());
    machine.collectives = collectives_.curves();
    for (std::string& item : collectives_.left_out())
      result.left_out.push_back(std::move(item));
    if (overlap_) machine.overlap = overlap_->profile();
    if (!overlap_) result.left_out.emplace_back("computing and communicating at once");
    machine.skew = skew_.profile();
  }
  std::vector<std::size_t> items() const {
    std::vector<std::size_t> all;
    for (const CollectivePoint& p : collectives_.points())
      all.push_back(p.item);
    return all;
  }

 private:
  Machine known() const {
    Machine machine;
    for (const auto& level : levels_)
      machine.links.push_back(level->profile());
    if (shared_) machine.shared = shared_->profile();
    return machine;
  }
  // A GPU's are kernels that read two elements for each that they write; its memory is its own.
  SharedProfile local_steps(const ComputeProfile& compute) const {
    if (shared_) return shared_->profile();
    const Figure& rate = compute.memory_bandwidth;
    SharedProfile steps{.source = "the memory's bandwidth, three times for each byte",
                        .gamma = {3 / rate.value}};
    if (rate.high > 0) steps.gamma = {3 / rate.value, 3 / rate.high, 3 / rate.low};
    return steps;
  }
  void add_overlap() {
    if (!context_.threads_allowed()) return;
    const Machine machine = known();
    const char* const label = gpu_ ? backend_->choose(barrier_call()).label : "mpi";
    std::int64_t elements = overlapped_.elements;
    const auto seconds = [&] {
      const auto bytes = static_cast<double>(elements) * sizeof(float);
      return price_of(machine, Collective::all_reduce, bytes, backend_->shape(), label)
          .seconds.value;
    };
    while (elements > kLeastElements && seconds() > kOverlapped)
      elements /= 2;
    if (!gpu_) worker_ = make_cpu_device();
    Device& device = gpu_ ? *gpu_ : *worker_;
    world_ = Communicator::over(context_.world(), device);
    overlap_.emplace(sampler_, *world_, device,
                     Overlapped{elements, overlapped_.width, overlapped_.seconds});
    sampler_.run(0, 1, sampler_.size() - 1);
  }

  static std::unique_ptr<Backend> make_backend(const Context& context, Device* gpu) {
    if (gpu) return std::make_unique<DeviceGroup>(context, *gpu);
    return find_backend("auto").make(context.world(), {});
  }
  // Ranks of the node's own transport are numbered within it.
  static Pairing inside_pairing(const std::vector<int>& nodes, int rank, const Transport& inside) {
    Pairing pairing = pair_inside(nodes, rank);
    const bool renumbered = inside.size() < std::ssize(nodes);
    if (pairing.peer >= 0 && renumbered)
      pairing.peer = inside.rank() + (pairing.peer - rank > 0 ? 1 : -1);
    return pairing;
  }

  const Context& context_;
  Sampler& sampler_;
  Device* const gpu_;            // this rank's; none: what is sent lies in the host's memory
  const Overlapped overlapped_;  // at most
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Transport> net_;
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

// The types in which the device computes, one after the other.
std::deque<ComputeCalibration> compute_of(Sampler& sampler, Device& device, const Extent& extent,
                                          bool bfloat16) {
  std::deque<ComputeCalibration> all;
  all.emplace_back(sampler, device, extent, DType::float32);
  if (bfloat16) all.emplace_back(sampler, device, extent, DType::bfloat16);
  return all;
}

std::vector<std::size_t> items_of(const std::deque<ComputeCalibration>& compute, Found found) {
  std::vector<std::size_t> all;
  for (const ComputeCalibration& c : compute) {
    const std::vector<std::size_t> items = c.items(found);
    all.insert(all.end(), items.begin(), items.end());
  }
  return all;
}

Calibration measure(const Context& context, const Extent& extent, int threads,
                    const MeasuredGpu* gpu) {
  const double begin = now();
  const auto host = make_cpu_device(CommunicationDriver::caller);
  Sampler sampler(context, extent.narrow);
  std::deque<ComputeCalibration> compute;
  if (gpu) {
    compute = compute_of(sampler, gpu->device, extent, gpu->bfloat16);
  } else {
    compute = compute_of(sampler, *host, extent, false);
  }
  std::optional<Groups> groups;
  if (context.size() > 1) groups.emplace(context, sampler, gpu ? gpu->device : *host, extent);

  const double all = extent.seconds;
  const auto left = [&] { return all - sampler.greatest(now() - begin); };
  sampler.run(kFirstShare * all, 1, 0, kBrief * all);
  if (groups) {
    groups->find_jumps(0.02 * all);
    const double owed = (extent.rounds - 1) * sampler.least_seconds();
    groups->survey_collectives(extent, (left() - owed) / extent.rounds);
    groups->refine(0.1 * all, extent.refinements);
  }
  const double made_up = sampler.watches() ? kMadeUp * all : 0;
  if (extent.rounds > 1) sampler.run(left() - made_up, extent.rounds - 1);
  sampler.make_up(std::min(left(), made_up), kBrief * all);
  if (groups) groups->end();

  Calibration result;
  result.machine = describe(context, threads);
  if (gpu) {
    result.machine.device = "cuda";
    result.machine.name = gpu->name + ", " + result.machine.name;
    result.machine.memory_bytes = gpu->memory_bytes;
  }
  for (const ComputeCalibration& c : compute)
    result.machine.compute.push_back(c.profile());
  if (groups) groups->fill(result);
  result.machine.drift = {.source = "measured, between " + count_of(extent.rounds, "round"),
                          .compute = drift_of(sampler, items_of(compute, Found::cached)),
                          .memory = drift_of(sampler, items_of(compute, Found::in_memory)),
                          .collectives = groups ? drift_of(sampler, groups->items()) : 0};
  result.states = sampler.states();
  result.seconds = sampler.greatest(now() - begin);
  result.measurements = sampler.size();
  result.samples = sampler.num_samples();
  result.outliers = sampler.num_outliers();
  return result;
}

}  // namespace

Calibration calibrate(const Context& context, const Extent& extent, int threads) {
  return measure(context, extent, threads, nullptr);
}

Calibration calibrate(const Context& context, const Extent& extent, int threads,
                      const MeasuredGpu& gpu) {
  return measure(context, extent, threads, &gpu);
}

}  // namespace lockstep
