// SPDX-License-Identifier: Apache-2.0
// The rows of a benchmark as a table and as JSON. algbw is bytes / time, busbw what a link must
// carry for it, both as nccl-tests define them.
#pragma once

#include <string>
#include <vector>

#include "launch/bench_points.hpp"

namespace lockstep {

// busbw / algbw.
double bus_factor(Collective what, int ranks);

std::string bench_title(const BenchOptions& options, const GroupShape& group);
std::string bench_header();
// Rows of one point.
std::string bench_lines(const BenchOptions& options, int ranks, const std::vector<BenchRow>& rows);
// How close auto comes to the best candidate of each point; empty where it was not one of several.
std::string auto_summary(const std::vector<std::vector<BenchRow>>& points);

std::string bench_json(const BenchOptions& options, const GroupShape& group,
                       const std::vector<std::vector<BenchRow>>& points);

}  // namespace lockstep
