// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/simulate/difference.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "perfmodels/collective_price.hpp"

namespace lockstep {

namespace {

double change(double before, double after) {
  return before > 0 && after > 0 ? std::abs(std::log(after / before)) : 0;
}

// The formula of an algorithm that knows of nodes has both kinds of links.
Network as_formula(const Algorithm& algorithm, const Links& links, const GroupShape& group) {
  if (algorithm.refusal({.ranks = group.ranks})) return formula_network(links);
  Links flat = links;
  flat.inside = flat.across = links.of(group);
  return formula_network(flat);
}

constexpr double kNever = std::numeric_limits<double>::infinity();

// Nobody waits for receivers, and between nodes ports send while first bytes are under way.
Network overlapping(const Links& links) {
  Network network = formula_network(links);
  network.across.model =
      std::make_shared<AlphaBetaModel>(links.across.alpha, links.across.beta, Latency::passes);
  network.inside.rendezvous_bytes = network.across.rendezvous_bytes = kNever;
  return network;
}

// And the ranks of a node queue at its ports.
Network queueing(const Machine& machine, const GroupShape& group, const Links& links) {
  Network network = overlapping(links);
  network.across.ports = machine_network(machine, group).across.ports;
  return network;
}

// And what a rank sends does what the profile says.
Network sharing(const Machine& machine, const GroupShape& group, const Links& links) {
  Network network = queueing(machine, group, links);
  network.rank_ports = machine_network(machine, group).rank_ports;
  return network;
}

}  // namespace

const Assumption& Difference::main_cause() const {
  std::size_t main = 0;
  double most = -1, before = formula;
  for (std::size_t i = 0; i < given_up.size(); ++i) {
    const double here = change(before, given_up[i].seconds);
    if (here > most) main = i;
    most = std::max(most, here);
    before = given_up[i].seconds;
  }
  return given_up[main];
}

std::string Difference::text() const {
  const Assumption& cause = main_cause();
  const auto at = static_cast<std::size_t>(&cause - given_up.data());
  const double before = at == 0 ? formula : given_up[at - 1].seconds;
  char line[256];
  std::snprintf(line, sizeof line, "formula %.2f us, replay %.2f us (%+.0f %%)", formula * 1e6,
                replayed() * 1e6, formula > 0 ? 100 * (replayed() / formula - 1) : 0.0);
  std::string text = line;
  if (change(before, cause.seconds) < 0.01) return text;
  std::snprintf(line, sizeof line, ", mostly since the formula %s (x %.2f)", cause.text,
                cause.seconds / before);
  return text + line;
}

Difference difference(const Machine& machine, const Algorithm& algorithm, double bytes,
                      const GroupShape& group) {
  const Links links = links_of(machine);
  const Schedule schedule = record(algorithm, priced_call(algorithm.what, bytes, group));
  Network without_copies = machine_network(machine, group);
  without_copies.copies = LocalCopies::free;
  const auto seconds = [&](const Network& network) { return replay(schedule, network).seconds; };
  return {
      .formula = algorithm.seconds(group, bytes, links),
      .given_up = {
          {"counts steps and bytes roughly", seconds(as_formula(algorithm, links, group))},
          {"takes every link for the slowest", seconds(formula_network(links))},
          {"lets no message leave before the one in front has arrived",
           seconds(overlapping(links))},
          {"knows of no queues at the ports of nodes", seconds(queueing(machine, group, links))},
          {"lets a rank send one message after the other", seconds(sharing(machine, group, links))},
          {"has one line for messages of all sizes", seconds(without_copies)},
          {"takes local copies as free", seconds(machine_network(machine, group))}}};
}

}  // namespace lockstep
