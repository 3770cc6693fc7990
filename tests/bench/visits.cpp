// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/visits.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

// A line for a point: "curve all_reduce plain 4096 LABEL...", and one for each of its visits.
constexpr const char* kCurve = "curve";
constexpr const char* kUnseen = "unseen";
constexpr const char* kVisit = "visit";

VisitedPoint point_from(std::istringstream& words, const std::string& kind) {
  std::string what, memory, label;
  VisitedPoint p{.point = {}, .calibrated = kind == kCurve};
  words >> what >> memory >> p.point.bytes;
  p.point.what = collective_named(what.c_str());
  p.point.memory = memory == name_of(MemoryKind::shared) ? MemoryKind::shared : MemoryKind::plain;
  while (words >> label)
    p.point.labels.push_back(label);
  return p;
}

Visit visit_from(std::istringstream& words) {
  Visit visit;
  words >> visit.before >> visit.after;
  for (double seconds = 0; words >> seconds;)
    visit.seconds.push_back(seconds);
  return visit;
}

}  // namespace

std::vector<double> seconds_of(const VisitedPoint& point, std::size_t c, const Kept& kept) {
  std::vector<double> seconds;
  for (const Visit& v : point.visits) {
    if (kept(v)) seconds.push_back(v.seconds[c]);
  }
  return seconds;
}

double median_of(const VisitedPoint& point, std::size_t c, const Kept& kept) {
  std::vector<double> seconds = seconds_of(point, c, kept);
  return seconds.size() < kLeastVisits ? 0 : median_of(std::move(seconds));
}

std::vector<MachineState> states_of(const std::vector<VisitedPoint>& points) {
  std::vector<Watched> all;
  for (const VisitedPoint& p : points)
    all.insert(all.end(), p.visits.begin(), p.visits.end());
  return states_of(std::move(all));
}

void write_visits(const std::string& path, const std::vector<VisitedPoint>& points) {
  std::ofstream file(path);
  file.precision(9);
  for (const VisitedPoint& p : points) {
    file << (p.calibrated ? kCurve : kUnseen) << ' ' << name_of(p.point.what) << ' '
         << name_of(p.point.memory) << ' ' << p.point.bytes;
    for (const std::string& label : p.point.labels)
      file << ' ' << label;
    file << '\n';
    for (const Visit& v : p.visits) {
      file << kVisit << ' ' << v.before << ' ' << v.after;
      for (const double seconds : v.seconds)
        file << ' ' << seconds;
      file << '\n';
    }
  }
  if (!file.flush()) throw SystemError("cannot write " + path);
}

std::vector<VisitedPoint> read_visits(const std::string& path) {
  std::ifstream file(path);
  std::vector<VisitedPoint> points;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == kCurve || kind == kUnseen) {
      points.push_back(point_from(words, kind));
    } else if (kind == kVisit && !points.empty()) {
      points.back().visits.push_back(visit_from(words));
    } else {
      throw ConfigError(path + " holds no visits of check_prices: " + line);
    }
  }
  return points;
}

}  // namespace lockstep
