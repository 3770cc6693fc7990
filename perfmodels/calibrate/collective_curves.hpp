// SPDX-License-Identifier: Apache-2.0
// What every candidate of every collective costs among these ranks, over the bytes of the full
// vector: medians at powers of 8, both sides of each step that our algorithms are known to make
// (protocol_steps.hpp), midpoints where straight lines between logarithms would miss them, and both
// sides of each jump that shows. What `auto` and predictions look up.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "collectives/backend.hpp"
#include "collectives/links.hpp"
#include "collectives/sample_call.hpp"
#include "perfmodels/calibrate/extent.hpp"
#include "perfmodels/calibrate/sampler.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// One measured size of one collective.
struct CollectivePoint {
  Collective what;
  MemoryKind memory;
  std::size_t bytes;
  std::vector<std::string> labels;  // of the candidates, as the sampler's series
  std::size_t item;
  double priced = 0;  // seconds of all candidates by formula; 0: without links

  // Barriers move nothing; a curve needs a place for them.
  double place() const { return bytes > 0 ? static_cast<double>(bytes) : 1; }
};

class CollectiveCalibration {
 public:
  // Only plain memory where the ranks share none.
  CollectiveCalibration(Sampler& sampler, Backend& group, Device& device);

  // Powers of 8, and known steps, for every collective of the extent.
  void add_grid(const Extent& extent);
  // The same, measured in ascending order within `seconds`: formulas over these links, and what the
  // size before took, say what a size is going to take. Where that is too long its line ends.
  void survey(const Extent& extent, const Links& links, double seconds, double longest);
  // Adds midpoints between neighbours: of all, the first time, later where the last ones were
  // missed by more than `missed`, and ever closer where the time jumps. The items to visit next:
  // these, and what they are compared with, so that both are of one moment. None: it is done.
  std::vector<std::size_t> refine(double missed);
  void add(Collective what, MemoryKind memory, std::size_t bytes);

  const std::vector<CollectivePoint>& points() const { return points_; }
  std::vector<CollectiveCurve> curves() const;
  // "all_reduce of 2M bytes and more, plain"
  std::vector<std::string> left_out() const;
  bool shares_memory() const { return shared_; }

 private:
  using Line = std::vector<const CollectivePoint*>;  // ascending sizes of one kind of call

  void add_size(const Extent& extent, std::size_t bytes, bool is_first);
  void add_steps(Collective what, MemoryKind memory, std::size_t first, std::size_t end);
  std::vector<Line> lines() const;
  double priced(const Sample& sample, const std::vector<Choice>& candidates) const;
  std::optional<double> expected(const CollectivePoint& point) const;
  bool missed(const Line& line, std::size_t i, double by) const;
  double steepness(const Line& line, std::size_t i) const;
  std::vector<std::size_t> jumps(const Line& line) const;
  bool needs_midpoint(const Line& line, std::size_t i, double by) const;
  bool believed(const Line& line, std::size_t i) const;
  bool was_added(const CollectivePoint& point) const;
  double fastest(const CollectivePoint& point, std::size_t candidate) const;
  Figure seconds(const CollectivePoint& point, std::size_t candidate) const;
  std::vector<InBoth> in_both_states(const CollectivePoint& like, const std::string& label) const;

  Sampler& sampler_;
  Backend& group_;
  Device& device_;
  bool shared_;
  std::optional<Links> links_;
  std::vector<CollectivePoint> points_;
  std::vector<std::size_t> midpoints_;  // of points_, the last ones
  bool refined_ = false;
};

// Curves of the given points; `figure(point, candidate)` is the time.
std::vector<CollectiveCurve> curves_of(
    const std::vector<const CollectivePoint*>& points, const GroupShape& group,
    const std::function<Figure(const CollectivePoint&, std::size_t)>& figure);

}  // namespace lockstep
