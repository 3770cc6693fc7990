// SPDX-License-Identifier: Apache-2.0
// Closed formulas against replays, against the formulas of the algorithms, and above the bounds.
#include "perfmodels/models/critical_path.hpp"

#include <cmath>

#include "perfmodels/models/bounds.hpp"
#include "perfmodels/simulate/difference.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

constexpr double kGamma = 1e-10;

// Elements of 8 bytes, so that blocks are equal for every p below.
GroupCall call_of(const Algorithm& algorithm, std::size_t per_rank, int p) {
  if (algorithm.what == Collective::barrier) per_rank = 0;
  return {.what = algorithm.what,
          .blocks = Blocks(per_rank * static_cast<std::size_t>(p), p),
          .dtype = DType::float64,
          .buffers = Buffers::in_place};
}

double bytes_of(const GroupCall& call) {
  return static_cast<double>(call.blocks.total() * size_of(call.dtype));
}

double replayed(const Algorithm& algorithm, const GroupCall& call,
                const std::shared_ptr<const MessageModel>& model) {
  Network network{.inside = {.model = model}, .across = {.model = model}, .gamma = kGamma};
  network.copies = LocalCopies::free;
  return replay(record(algorithm, call), network).seconds;
}

std::vector<std::shared_ptr<const MessageModel>> models() {
  const LogGP p{.L = {5e-6}, .o_send = {1e-6}, .o_recv = {1e-6}, .g = {2e-6}, .G = {1e-9}};
  return {std::make_shared<LogPModel>(p), std::make_shared<LogGPModel>(p),
          std::make_shared<PLogPModel>(5e-6, Curve({{1, {2e-6}}, {1e4, {1e-5}}, {1e6, {1e-3}}}))};
}

}  // namespace

TEST_CASE("in LogP, LogGP and PLogP the closed formulas are what the schedules cost", "[unit]") {
  int compared = 0;
  for (const auto& model : models()) {
    for (const Algorithm* algorithm : algorithms()) {
      for (const int p : {2, 4, 8, 16}) {
        for (const std::size_t per_rank : {16, 512, 8192}) {
          const GroupCall call = call_of(*algorithm, per_rank, p);
          const auto path = critical_path(call.what, algorithm->name(), p, bytes_of(call));
          if (!path || !call.served_by(*algorithm)) continue;
          INFO(name_of(call.what) << " " << algorithm->label << ", " << p << " ranks, "
                                  << bytes_of(call) << " bytes");
          const double said = path_seconds(*path, *model, kGamma);
          CHECK(said == Approx(replayed(*algorithm, call, model)).epsilon(1e-6));
          ++compared;
        }
      }
    }
  }
  CHECK(compared > 3 * 20 * 3);
}

TEST_CASE("with Hockney's line they are the formulas of the algorithms", "[unit]") {
  const Links links{.inside = {.alpha = 3e-6, .beta = 1e-9, .gamma = kGamma}};
  const AlphaBetaModel line(3e-6, 1e-9, Latency::holds_port);
  for (const Algorithm* algorithm : algorithms()) {
    for (const int p : {1, 2, 4, 8, 32}) {
      const double n = algorithm->what == Collective::barrier ? 0 : 1 << 20;
      const auto path = critical_path(algorithm->what, algorithm->name(), p, n);
      if (!path) continue;
      INFO(name_of(algorithm->what) << " " << algorithm->label << ", " << p << " ranks");
      const double signals = algorithm->what == Collective::barrier ? 5e-9 : 0;  // of one byte
      CHECK(std::abs(path_seconds(*path, line, kGamma) -
                     algorithm->seconds({.ranks = p}, n, links)) <= signals + 1e-12);
    }
  }
}

TEST_CASE("no formula and no replay is below the bounds", "[unit]") {
  const Links links{.inside = {.alpha = 3e-6, .beta = 1e-9, .gamma = kGamma}};
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->refusal({.ranks = 4})) continue;
    for (const int p : {1, 2, 3, 5, 8, 13, 16}) {
      for (const std::size_t per_rank : {16, 8192}) {
        const GroupCall call = call_of(*algorithm, per_rank, p);
        const Bound bound = lower_bound(call.what, p, bytes_of(call), links.inside);
        INFO(name_of(call.what) << " " << algorithm->label << ", " << p << " ranks, "
                                << bytes_of(call) << " bytes");
        const double least = bound.seconds() * (1 - 1e-9);
        CHECK(algorithm->seconds({.ranks = p}, bytes_of(call), links) >= least);
        CHECK(replay(record(*algorithm, call), formula_network(links)).seconds >= least);
      }
    }
  }
  const Bound bound = lower_bound(Collective::all_reduce, 4, 8000, {.alpha = 1, .beta = 1});
  CHECK(bound.latency == 2);
  CHECK(bound.bandwidth == 12000);
}

TEST_CASE("a difference says which assumption of the formula was wrong", "[unit]") {
  Machine m{.name = "slow between nodes"};
  m.links.push_back({.level = "inside", .segments = {{0, {1e-7}, {1e-11}}}});
  m.links.push_back({.level = "across", .segments = {{0, {1e-4}, {1e-11}}}, .ports = 4});
  const Algorithm& ring = *find_algorithm(Collective::all_reduce, "ring");
  const GroupShape four_by_four{.ranks = 16, .nodes = 4};
  const Difference latency = difference(m, ring, 1024, four_by_four);
  INFO(latency.text());
  CHECK(latency.replayed() < 0.5 * latency.formula);
  CHECK_THAT(latency.text(),
             ContainsSubstring("mostly since the formula lets no message leave before"));

  m.links[1] = {.level = "across", .segments = {{0, {1e-7}, {1e-8}}}, .ports = 1};
  const Algorithm& pairwise = *find_algorithm(Collective::all_to_all, "pairwise");
  const Difference ports = difference(m, pairwise, 1 << 20, four_by_four);
  INFO(ports.text());
  CHECK(ports.replayed() > 1.5 * ports.formula);
  CHECK_THAT(ports.text(), ContainsSubstring("queues at the ports"));

  const Difference none = difference(m, ring, 1 << 20, {.ranks = 4});
  CHECK(none.replayed() == Approx(none.formula).epsilon(1e-3));
  CHECK(none.text().find("mostly") == std::string::npos);
}
