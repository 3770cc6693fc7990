// SPDX-License-Identifier: Apache-2.0
#include "launch/bench_report.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "collectives/sizes.hpp"
#include "launch/collective_options.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;
constexpr double kClose = 1.1;

std::string candidate_text(const BenchRow& row) {
  return row.backend == "auto" ? "auto (" + row.label + ")" : row.label;
}

std::string or_dash(const char* pattern, double value, bool known) {
  return known ? format(pattern, value) : "-";
}

Json number_or_null(double value) {
  return value > 0 ? Json(value) : Json(nullptr);
}

const BenchRow* fastest_other(const std::vector<BenchRow>& rows) {
  const BenchRow* best = nullptr;
  for (const BenchRow& row : rows) {
    if (row.backend != "auto" && (!best || row.median < best->median)) best = &row;
  }
  return best;
}

}  // namespace

double bus_factor(Collective what, int ranks) {
  const double p = ranks;
  switch (what) {
    case Collective::all_reduce:
      return 2 * (p - 1) / p;
    case Collective::reduce_scatter:
    case Collective::all_gather:
    case Collective::all_to_all:
    case Collective::gather:
    case Collective::scatter:
      return (p - 1) / p;
    default:
      return 1;
  }
}

std::string bench_title(const BenchOptions& options, const GroupShape& group) {
  std::string text = format(
      "%s, %s %s, %s, %d rank%s on %d node%s", name_of(options.what), name_of(options.dtype),
      name_of(options.op), options.place == BenchPlace::in_place ? "in place" : "out of place",
      group.ranks, group.ranks == 1 ? "" : "s", group.nodes, group.nodes == 1 ? "" : "s");
  if (options.groups > 1) text += format(", %d such groups at once", options.groups);
  return text +
         "; times in us, bandwidths in GB/s; bound: 3 x bytes of memory traffic per rank\n\n";
}

std::string bench_header() {
  return format("%8s  %-34s %-6s %10s %10s %9s %8s %8s %10s %7s %10s\n", "bytes", "candidate",
                "memory", "median", "p99", "spread", "algbw", "busbw", "predicted", "error",
                "bound");
}

std::string bench_lines(const BenchOptions& options, int ranks, const std::vector<BenchRow>& rows) {
  std::string text;
  for (const BenchRow& row : rows) {
    const bool moves = row.bytes > 0 && row.median > 0;
    const double algbw = moves ? static_cast<double>(row.bytes) / row.median * 1e-9 : 0;
    const double error = row.median > 0 ? 100 * (row.predicted / row.median - 1) : 0;
    text += format("%8s  %-34s %-6s %10.2f %10.2f %9.2f %8s %8s %10s %7s %10s\n",
                   bytes_text(row.bytes).c_str(), candidate_text(row).c_str(), name_of(row.memory),
                   row.median * 1e6, row.p99 * 1e6, row.spread * 1e6,
                   or_dash("%.3f", algbw, moves).c_str(),
                   or_dash("%.3f", algbw * bus_factor(options.what, ranks), moves).c_str(),
                   or_dash("%.2f", row.predicted * 1e6, row.predicted > 0).c_str(),
                   or_dash("%+.0f %%", error, row.predicted > 0).c_str(),
                   or_dash("%.2f", row.bound * 1e6, row.bound > 0).c_str());
  }
  return text;
}

std::string auto_summary(const std::vector<std::vector<BenchRow>>& points) {
  int close = 0, all = 0;
  double worst = 0;
  std::string where;
  for (const std::vector<BenchRow>& rows : points) {
    const BenchRow* best = fastest_other(rows);
    if (!best || rows.back().backend != "auto") continue;
    const BenchRow& chosen = rows.back();
    const double ratio = chosen.median / best->median;
    ++all;
    close += ratio <= kClose;
    if (ratio <= worst) continue;
    worst = ratio;
    where = format("%s %s (%s; best %s)", bytes_text(chosen.bytes).c_str(), name_of(chosen.memory),
                   chosen.label.c_str(), best->label.c_str());
  }
  if (all == 0) return "";
  return format(
      "\nauto is within 10 %% of the best candidate at %d of %d points; at worst %.2f "
      "times the best, at %s\n",
      close, all, worst, where.c_str());
}

std::string bench_json(const BenchOptions& options, const GroupShape& group,
                       const std::vector<std::vector<BenchRow>>& points) {
  Json all = Json::array();
  for (const std::vector<BenchRow>& rows : points) {
    for (const BenchRow& row : rows) {
      const double algbw = row.median > 0 ? static_cast<double>(row.bytes) / row.median : 0;
      all.push_back({{"collective", name_of(options.what)},
                     {"backend", row.backend},
                     {"algorithm", row.algorithm},
                     {"ranks", group.ranks},
                     {"bytes", row.bytes},
                     {"median_seconds", row.median},
                     {"p99_seconds", row.p99},
                     {"algbw", algbw},
                     {"busbw", algbw * bus_factor(options.what, group.ranks)},
                     {"predicted_seconds", number_or_null(row.predicted)},
                     {"memory", name_of(row.memory)},
                     {"label", row.label},
                     {"spread_seconds", row.spread},
                     {"bound_seconds", number_or_null(row.bound)},
                     {"repetitions", row.repetitions},
                     {"nodes", group.nodes},
                     {"groups", options.groups},
                     {"dtype", name_of(options.dtype)},
                     {"op", name_of(options.op)},
                     {"in_place", options.place == BenchPlace::in_place}});
    }
  }
  return all.dump(2) + "\n";
}

}  // namespace lockstep
