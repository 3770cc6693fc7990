// SPDX-License-Identifier: Apache-2.0
// How a job scales on a machine, predicted: strong (the job's batch, shared by more ranks) and weak
// (as many sequences for each rank), one recorded and replayed step per rank count, and the laws
// (laws.hpp) fitted to the points. Tensor groups and pipelines stay as the job has them: what grows
// are the copies of the model. No rank but one of each role is ever recorded, so thousands cost as
// much as two.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perfmodels/laws.hpp"
#include "perfmodels/machine/machine.hpp"
#include "perfmodels/plot.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

enum class Scaling : std::uint8_t { strong, weak };
const char* name_of(Scaling kind);

struct ScaledStep {
  int ranks = 1, nodes = 1;
  std::int64_t sequences = 1;  // of the global batch
  double seconds = 0, low = 0, high = 0;
  double tokens_per_second = 0, exposed = 0, waiting = 0, memory_bytes = 0;
  double efficiency = 1;  // against the smallest rank count: speed per rank
  bool fits = true, in_range = false;

  double node_hours(std::int64_t steps) const {
    return static_cast<double>(steps) * seconds * nodes / 3600;
  }
};

struct Skipped {
  int ranks = 1;
  std::string why{};
};

struct ScalingCurve {
  Scaling kind = Scaling::strong;
  std::vector<ScaledStep> steps{};
  std::vector<Skipped> skipped{};
  std::vector<LawFit> laws{};  // Amdahl or Gustafson, and the USL, where there are enough points
};

// Over `ranks` (ascending). Each copy of the model has, on the weak curve, the sequences of the
// job's own layout, else those of the smallest rank count. ConfigError where no rank count can be
// predicted.
ScalingCurve scale(const JobConfig& job, const Machine& machine, Scaling kind,
                   const std::vector<int>& ranks);

// How many ranks the job deserves: the most whose efficiency is still at least so high.
struct Advice {
  ScaledStep most;
  ScaledStep first;                     // the smallest count, which efficiency is measured against
  std::optional<ScaledStep> next = {};  // the next larger one, which is not worth it
};
// Among what fits into memory; none if nothing does.
std::optional<Advice> advise(const ScalingCurve& strong, double least_efficiency);

Plot plot_of(const std::vector<ScalingCurve>& curves, const std::string& title);

}  // namespace lockstep
