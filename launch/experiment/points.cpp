// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/points.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include "launch/prediction.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/philox.hpp"
#include "slurm/site.hpp"

namespace lockstep {

namespace {

// FNV-1a, 64 bits.
std::uint64_t hash_of(const std::string& text) {
  std::uint64_t hash = 14695981039346656037U;
  for (const unsigned char c : text)
    hash = (hash ^ c) * 1099511628211U;
  return hash;
}

// One value of each axis: the digits of `index`, the last axis turning fastest.
std::vector<const AxisValue*> combination(const std::vector<Axis>& axes, std::size_t index) {
  std::vector<const AxisValue*> values(axes.size());
  for (std::size_t i = axes.size(); i-- > 0;) {
    values[i] = &axes[i].values[index % axes[i].values.size()];
    index /= axes[i].values.size();
  }
  return values;
}

std::size_t combinations_of(const std::vector<Axis>& axes) {
  std::size_t count = 1;
  for (const Axis& axis : axes)
    count *= axis.values.size();
  return count;
}

struct Asked {
  int ranks = 0;
  std::vector<std::string> settings;
};

Asked asked_of(const ExperimentFile& e, const std::vector<const AxisValue*>& values) {
  Asked asked{0, e.settings};
  for (const AxisValue* value : values) {
    if (value->ranks > 0) asked.ranks = value->ranks;
    asked.settings.insert(asked.settings.end(), value->settings.begin(), value->settings.end());
  }
  return asked;
}

// What is the same for all jobs of a cluster (site.toml), where jobs are submitted.
JobConfig site_of(const ExperimentFile& e) {
  const std::string site = e.launcher == "sbatch" ? slurm::find_site("", e.job) : "";
  return site.empty() ? JobConfig{} : load_job(site);
}

JobConfig job_of(const ExperimentFile& e, const Asked& asked, int& ranks) {
  const JobConfig site = site_of(e);
  JobConfig job = load_job(e.job, asked.settings, site);
  ranks = ranks_of(job, asked.ranks, e.ranks);
  std::vector<std::string> settings = asked.settings;
  if (e.study == "weak") {
    settings.push_back(
        format("batch.global=%lld", static_cast<long long>(job.batch.global * ranks)));
  }
  if (e.trace && job.job.trace_steps == 0) settings.emplace_back("job.trace_steps=3");
  job = load_job(e.job, settings, site);
  if (job.job.machine.empty()) job.job.machine = e.machine;
  job.job.run_dir.clear();
  return job;
}

// "ranks", or an axis whose values all have ranks of their own: it scales, it does not compare.
bool decides_ranks(const Axis& axis) {
  std::set<int> counts;
  for (const AxisValue& value : axis.values)
    counts.insert(value.ranks);
  return !counts.count(0) && counts.size() == axis.values.size();
}

void name(ExperimentPoint& point, const std::vector<Axis>& axes,
          const std::vector<const AxisValue*>& values) {
  for (std::size_t i = 0; i < axes.size(); ++i) {
    point.values.emplace_back(axes[i].name, values[i]->label);
    const std::string said = axes[i].name + "=" + values[i]->label;
    point.name += (i ? " " : "") + said;
    if (decides_ranks(axes[i])) continue;
    point.series += (point.series.empty() ? "" : " ") + said;
  }
}

// What was measured stays true when another profile predicts it.
std::string fingerprint_of(const ExperimentPoint& point, bool only_predicted) {
  JobConfig job = point.job;
  if (!only_predicted) job.job.machine.clear();
  const std::string text = (only_predicted ? "predicted " : "measured ") +
                           std::to_string(point.ranks) + "\n" + to_toml(job);
  return format("%016llx", static_cast<unsigned long long>(hash_of(text)));
}

ExperimentPoint point_at(const ExperimentFile& e, const std::vector<std::string>& overrides,
                         std::size_t index) {
  const auto values = combination(e.axes, index);
  ExperimentPoint point;
  name(point, e.axes, values);
  Asked asked = asked_of(e, values);
  asked.settings.insert(asked.settings.end(), overrides.begin(), overrides.end());
  try {
    point.job = job_of(e, asked, point.ranks);
  } catch (const ConfigError& error) {
    throw ConfigError(e.path + ", point " + point.name + ": " + error.what());
  }
  point.fingerprint = fingerprint_of(point, e.launcher == "predict");
  return point;
}

void expect_winner(const ExperimentFile& e, const std::vector<ExperimentPoint>& points) {
  const std::string& winner = e.hypothesis.winner;
  if (winner.empty()) return;
  for (const ExperimentPoint& p : points) {
    if (is_called(p.name, p.values, winner)) return;
  }
  throw ConfigError(e.path + ": hypothesis.winner = \"" + winner +
                    "\" is no point and no value of an axis; the first point is " +
                    points.front().name);
}

}  // namespace

bool is_called(const std::string& point,
               const std::vector<std::pair<std::string, std::string>>& values,
               const std::string& name) {
  return point == name || std::any_of(values.begin(), values.end(), [&](const auto& value) {
           return value.first != "ranks" && value.second == name;
         });
}

std::vector<ExperimentPoint> points_of(const ExperimentFile& e,
                                       const std::vector<std::string>& overrides) {
  constexpr std::size_t kMost = 10000;
  const std::size_t count = combinations_of(e.axes);
  if (count > kMost) {
    throw ConfigError(
        format("%s: [axes] make %zu points; at most %zu", e.path.c_str(), count, kMost));
  }
  std::vector<ExperimentPoint> points;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < count; ++i) {
    points.push_back(point_at(e, overrides, i));
    if (seen.insert(points.back().fingerprint).second) continue;
    throw ConfigError(
        e.path + ": point " + points.back().name +
        " is the same job as one before it; an axis is undone by another or by --set");
  }
  expect_winner(e, points);
  return points;
}

std::vector<PlannedRun> order_of(std::size_t points, int repetitions, std::uint64_t seed) {
  const std::uint64_t key = random_key(seed, RandomPurpose::sampling);
  std::vector<PlannedRun> runs;
  std::uint64_t draws = 0;
  for (int r = 1; r <= repetitions; ++r) {
    const std::size_t first = runs.size();
    for (std::size_t p = 0; p < points; ++p)
      runs.push_back({p, r});
    for (std::size_t left = points; left > 1; --left) {  // Fisher and Yates
      const double u = uniform01(philox(key, draws++).word[0]);
      std::swap(runs[first + left - 1], runs[first + static_cast<std::size_t>(u * left)]);
    }
  }
  return runs;
}

std::string file_name_of(const ExperimentPoint& point, int repetition) {
  std::string text;
  for (const unsigned char c : point.name) {
    const bool kept = std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '=';
    text += kept ? static_cast<char>(c) : '_';
  }
  return text.substr(0, 80) + "-" + point.fingerprint.substr(0, 6) + "-r" +
         std::to_string(repetition);
}

}  // namespace lockstep
