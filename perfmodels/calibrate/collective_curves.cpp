// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/collective_curves.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "collectives/algorithms/table.hpp"
#include "collectives/sizes.hpp"
#include "perfmodels/calibrate/call_trial.hpp"
#include "perfmodels/calibrate/protocol_steps.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/device/block_cache.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kGrowth = 8;
constexpr double kCallsOfVisit = 5;  // of each candidate: to prepare, to warm up, to time

// Whether all ranks see what allocate() gives. Collective.
bool shares(Backend& group, Device& device) {
  if (device.kind() == DeviceKind::cuda) return false;
  constexpr std::size_t kSome = 4096;
  const auto memory = group.allocate(device, kSome);
  double owns = group.owns({static_cast<std::byte*>(memory.get()), kSome, DType::uint8}) ? 1 : 0;
  const Elements one{reinterpret_cast<std::byte*>(&owns), 1, DType::float64};
  const Call call = all_reduce_call(one, one, ReduceOp::min, group.size());
  group.run(call, group.choose(call), {});
  return owns > 0;
}

}  // namespace

CollectiveCalibration::CollectiveCalibration(Sampler& sampler, Backend& group, Device& device)
    : sampler_(sampler), group_(group), device_(device), shared_(shares(group, device)) {}

void CollectiveCalibration::add_grid(const Extent& extent) {
  for (std::size_t n = extent.least_vector; n <= extent.most_vector; n *= kGrowth)
    add_size(extent, n, n == extent.least_vector);
}

void CollectiveCalibration::survey(const Extent& extent, const Links& links, double seconds,
                                   double longest) {
  const double begin = now();
  links_ = links;
  for (std::size_t n = extent.least_vector; n <= extent.most_vector; n *= kGrowth) {
    const std::size_t first = sampler_.size();
    add_size(extent, n, n == extent.least_vector);
    if (sampler_.size() == first) return;
    sampler_.run(seconds - sampler_.greatest(now() - begin), 1, first, longest);
  }
}

// A barrier has no size; a line that has ended does not go on.
void CollectiveCalibration::add_size(const Extent& extent, std::size_t bytes, bool is_first) {
  std::set<std::pair<Collective, MemoryKind>> ended;
  for (const CollectivePoint& p : points_) {
    if (links_ && !sampler_.has(p.item)) ended.insert({p.what, p.memory});
  }
  for (const Collective what : extent.collectives) {
    if (what == Collective::barrier) {
      if (is_first) add(what, MemoryKind::plain, 0);
      continue;
    }
    for (const MemoryKind memory : {MemoryKind::plain, MemoryKind::shared}) {
      const bool possible = memory == MemoryKind::plain || shared_;
      if (!possible || ended.count({what, memory})) continue;
      add(what, memory, bytes);
      add_steps(what, memory, bytes, std::min(kGrowth * bytes, extent.most_vector));
    }
  }
}

// Those between two sizes of the grid: of our algorithms, and of what a node's memory costs.
void CollectiveCalibration::add_steps(Collective what, MemoryKind memory, std::size_t first,
                                      std::size_t end) {
  GroupShape group = group_.shape();
  group.memory = memory;
  std::vector<ProtocolStep> steps = protocol_steps(what, group, short_bytes(group.ranks));
  const std::size_t small_pages = most_without_huge_pages();
  if (memory == MemoryKind::plain && group.nodes == 1)
    steps.push_back({small_pages, small_pages + sizeof(float)});
  for (const ProtocolStep& step : steps) {
    for (const std::size_t bytes : {step.below, step.above}) {
      if (first < bytes && bytes < end) add(what, memory, bytes);
    }
  }
}

void CollectiveCalibration::add(Collective what, MemoryKind memory, std::size_t bytes) {
  const Sample sample{.what = what,
                      .count = bytes / sizeof(float),
                      .ranks = group_.size(),
                      .rank = group_.rank(),
                      .memory = memory};
  std::vector<Choice> candidates = candidates_for(group_, sample);
  std::vector<std::string> labels;
  for (const Choice& choice : candidates)
    labels.emplace_back(choice.label);
  CollectivePoint point{what, memory, bytes, std::move(labels), 0, priced(sample, candidates)};
  point.item =
      sampler_.add({.name = std::string(name_of(what)) + " of " + std::to_string(bytes) + " bytes",
                    .prepare =
                        [this, sample, candidates] {
                          return std::make_unique<CallTrial>(group_, device_, sample, candidates);
                        },
                    .line = std::string(name_of(what)) + " " + name_of(memory),
                    .num_series = candidates.size(),
                    .over = Over::slowest,
                    .expected = points_.empty() ? std::nullopt : expected(point)});
  points_.push_back(std::move(point));
}

// A library is taken to be as fast as our algorithms are on average.
double CollectiveCalibration::priced(const Sample& sample,
                                     const std::vector<Choice>& candidates) const {
  if (!links_) return 0;
  GroupShape group = group_.shape();
  group.memory = sample.memory;
  const auto bytes = static_cast<double>(sample.count * sizeof(float));
  double sum = 0, n = 0;
  for (const Choice& choice : candidates) {
    if (!choice.algorithm) continue;
    sum += choice.algorithm->seconds(group, bytes, *links_);
    ++n;
  }
  return n > 0 ? sum / n * static_cast<double>(candidates.size()) : 0;
}

// By what the largest size below it took. The very first point is made in any case.
std::optional<double> CollectiveCalibration::expected(const CollectivePoint& point) const {
  if (!links_) return {};
  const CollectivePoint* before = nullptr;
  for (const CollectivePoint& p : points_) {
    const bool same = p.what == point.what && p.memory == point.memory && sampler_.has(p.item);
    if (!same || p.bytes >= point.bytes) continue;
    if (!before || p.bytes > before->bytes) before = &p;
  }
  if (!before || before->priced <= 0) return kCallsOfVisit * point.priced;
  return sampler_.least_seconds(before->item) * std::max(point.priced / before->priced, 1.0);
}

std::vector<CollectiveCalibration::Line> CollectiveCalibration::lines() const {
  std::map<std::pair<Collective, MemoryKind>, Line> by_kind;
  for (const CollectivePoint& p : points_) {
    if (sampler_.has(p.item)) by_kind[{p.what, p.memory}].push_back(&p);
  }
  std::vector<Line> all;
  for (auto& [kind, line] : by_kind) {
    std::sort(line.begin(), line.end(), [](const CollectivePoint* a, const CollectivePoint* b) {
      return a->bytes < b->bytes;
    });
    all.push_back(std::move(line));
  }
  return all;
}

// Of the same candidate at other sizes, ascending.
std::vector<InBoth> CollectiveCalibration::in_both_states(const CollectivePoint& like,
                                                          const std::string& label) const {
  const std::vector<MachineState>& states = sampler_.states();
  std::vector<InBoth> all;
  for (const CollectivePoint& p : points_) {
    const auto c = static_cast<std::size_t>(std::find(p.labels.begin(), p.labels.end(), label) -
                                            p.labels.begin());
    const bool same = p.what == like.what && p.memory == like.memory && c < p.labels.size();
    if (!same || !sampler_.has(p.item)) continue;
    const Figure usual = sampler_.figure_in(states[0], p.item, c);
    const Figure rarer = sampler_.figure_in(states[1], p.item, c);
    if (usual.known() && rarer.known()) all.push_back({p.place(), usual.value, rarer.value});
  }
  std::sort(all.begin(), all.end(), [](const InBoth& a, const InBoth& b) { return a.x < b.x; });
  return all;
}

// In the machine's usual state. Where no visit found it in that, a line's other sizes say what it
// changes: between its states one of some calls takes up to three times as long as the other.
Figure CollectiveCalibration::seconds(const CollectivePoint& point, std::size_t candidate) const {
  const Samples& samples = sampler_.samples(point.item, candidate);
  const std::vector<MachineState>& states = sampler_.states();
  if (samples.num_counted() > 0 || states.size() < 2) return samples.figure();
  const Figure rarer = sampler_.figure_in(states[1], point.item, candidate);
  if (!rarer.known()) return samples.figure();
  const std::vector<InBoth> both = in_both_states(point, point.labels[candidate]);
  return both.empty() ? samples.figure() : as_usual(rarer, point.place(), both);
}

std::vector<CollectiveCurve> CollectiveCalibration::curves() const {
  std::vector<const CollectivePoint*> all;
  for (const CollectivePoint& p : points_) {
    if (sampler_.has(p.item)) all.push_back(&p);
  }
  return curves_of(all, group_.shape(),
                   [this](const CollectivePoint& p, std::size_t c) { return seconds(p, c); });
}

std::vector<std::string> CollectiveCalibration::left_out() const {
  std::map<std::pair<Collective, MemoryKind>, std::size_t> ends;  // largest size that was visited
  for (const CollectivePoint& p : points_) {
    std::size_t& end = ends[{p.what, p.memory}];
    if (sampler_.has(p.item)) end = std::max(end, p.bytes);
  }
  std::vector<std::string> all;
  std::size_t midpoints = 0;
  for (const CollectivePoint& p : points_) {
    if (sampler_.has(p.item)) continue;
    if (p.bytes > 0 && p.bytes < ends[{p.what, p.memory}]) {
      ++midpoints;
      continue;
    }
    all.push_back(std::string(name_of(p.what)) + " of " + bytes_text(p.bytes) +
                  " bytes and more, " + name_of(p.memory));
  }
  if (midpoints > 0) all.push_back(std::to_string(midpoints) + " midpoints of collectives");
  return all;
}

std::vector<CollectiveCurve> curves_of(
    const std::vector<const CollectivePoint*>& points, const GroupShape& group,
    const std::function<Figure(const CollectivePoint&, std::size_t)>& figure) {
  std::map<std::tuple<Collective, MemoryKind, std::string>, std::vector<Point>> by_candidate;
  for (const CollectivePoint* p : points) {
    for (std::size_t c = 0; c < p->labels.size(); ++c)
      by_candidate[{p->what, p->memory, p->labels[c]}].push_back({p->place(), figure(*p, c)});
  }
  std::vector<CollectiveCurve> all;
  for (auto& [key, curve] : by_candidate) {
    std::sort(curve.begin(), curve.end(), [](const Point& a, const Point& b) { return a.x < b.x; });
    all.push_back({.source = "measured",
                   .operation = name_of(std::get<0>(key)),
                   .label = std::get<2>(key),
                   .ranks = group.ranks,
                   .nodes = group.nodes,
                   .memory = name_of(std::get<1>(key)),
                   .seconds = Curve(std::move(curve))});
  }
  return all;
}

}  // namespace lockstep
