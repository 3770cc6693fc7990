// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/collective_price.hpp"

#include <algorithm>
#include <cmath>

#include "collectives/algorithms/table.hpp"
#include "perfmodels/models/hockney.hpp"
#include "perfmodels/models/nccl.hpp"
#include "perfmodels/simulate/networks.hpp"

namespace lockstep {

namespace {

constexpr const char* kProfile = "profile";

double value_of(const Figure& f) {
  return f.value;
}
double low_of(const Figure& f) {
  return f.high > 0 ? f.low : f.value;
}
double high_of(const Figure& f) {
  return f.high > 0 ? f.high : f.value;
}
using End = double (*)(const Figure&);

void take(double& constant, const char*& source, const Figure& figure, End end) {
  if (!figure.known()) return;
  constant = end(figure);
  source = kProfile;
}

void take_level(Link& link, const LinkProfile* profile, End end) {
  if (!profile) return;
  const Line line = line_of(*profile);
  take(link.alpha, link.source, line.alpha, end);
  take(link.beta, link.source, line.beta, end);
  if (profile->contention.known()) link.beta *= std::max(end(profile->contention), 1.0);
}

Links links_at(const Machine& machine, End end) {
  Links links;
  take_level(links.inside, machine.find_link("inside"), end);
  take_level(links.across, machine.find_link("across"), end);
  const SharedProfile& from = machine.shared;
  for (Link* link : {&links.inside, &links.across})
    take(link->gamma, link->gamma_source, from.gamma, end);
  SharedCosts& to = links.shared;
  take(to.sync, to.source, from.sync, end);
  take(to.crowded_sync, to.source, from.crowded_sync, end);
  take(to.copy, to.source, from.copy, end);
  take(to.reduce, to.source, from.reduce, end);
  take(to.stage, to.source, from.stage, end);
  take(to.reach, to.source, from.reach, end);
  take(to.fetch, to.source, from.fetch, end);
  return links;
}

const CollectiveCurve* find_curve(const Machine& machine, Collective what, const GroupShape& group,
                                  const std::string& label) {
  const char* memory = group.memory == MemoryKind::shared ? "shared" : "plain";
  for (const CollectiveCurve& c : machine.collectives) {
    const bool same = c.operation == name_of(what) && c.label == label && c.ranks == group.ranks &&
                      c.nodes == group.nodes && c.memory == memory && !c.seconds.empty();
    if (same) return &c;
  }
  return nullptr;
}

Price from_curve(const CollectiveCurve& curve, Collective what, double bytes) {
  const bool barrier = what == Collective::barrier;  // of no bytes: its only point
  return {.seconds = barrier ? curve.seconds.points().front().y : curve.seconds.figure_at(bytes),
          .by = "curve",
          .in_range = barrier || curve.seconds.covers(bytes)};
}

bool all_known(const Links& links, const GroupShape& group) {
  const auto known = [](const char* source) { return std::string(source) == kProfile; };
  const Link& link = group.nodes > 1 ? links.across : links.inside;
  return group.shared_memory ? known(links.shared.source) : known(link.source);
}

Price from_message(const Machine& machine, double bytes, const GroupShape& group) {
  const bool across = group.nodes > 1;
  const LinkProfile* link = machine.find_link(across ? "across" : "inside");
  const Figure seconds = link ? message_seconds(*link, bytes) : Figure{};
  if (seconds.known()) return {seconds, "formula", true};
  const Links links;
  const Link& fallback = across ? links.across : links.inside;
  return {{fallback.alpha + bytes * fallback.beta}, "formula", false};
}

constexpr int kMostRanks = 64;
constexpr double kMostBytes = 16 << 20;

// Of many bytes on the line through those of the most and of a quarter of them.
double replayed_seconds(const Machine& machine, const Algorithm& algorithm, double bytes,
                        const GroupShape& group) {
  const auto replayed = [&](double n) {
    const GroupCall call = priced_call(algorithm.what, n, group);
    return replay(record(algorithm, call), machine_network(machine, group)).seconds;
  };
  if (bytes <= kMostBytes) return replayed(bytes);
  const double most = replayed(kMostBytes), less = replayed(kMostBytes / 4);
  return most + (most - less) / (0.75 * kMostBytes) * (bytes - kMostBytes);
}

bool serves(const Algorithm& algorithm, Collective what, double bytes, const GroupShape& group) {
  return algorithm.what == what && !algorithm.refusal(group) &&
         bytes <= static_cast<double>(algorithm.largest);
}

// On fewer of the same nodes, where the group is too large to be replayed.
GroupShape replayable(GroupShape group) {
  if (group.ranks <= kMostRanks) return group;
  const int per_node = group.per_node(), least = std::min(group.nodes, 2);
  group.nodes = std::max(kMostRanks / per_node, least);
  group.ranks = std::min(group.nodes * per_node, kMostRanks);
  group.even = true;
  return group;
}

// The value of the replay with the interval of the formula, which misses as much of more nodes.
Price from_replay(const Machine& machine, const Algorithm& algorithm, double bytes,
                  const GroupShape& group, Price price) {
  const GroupShape replayed = replayable(group);
  if (!serves(algorithm, algorithm.what, bytes, replayed)) return price;
  const double said = algorithm.seconds(replayed, bytes, links_of(machine));
  const double seconds = replayed_seconds(machine, algorithm, bytes, replayed);
  if (said <= 0 || seconds <= 0) return price;
  Figure& f = price.seconds;
  f = {f.value * seconds / said, f.low * seconds / said, f.high * seconds / said};
  price.by = replayed.ranks == group.ranks ? "replay" : "replay of fewer";
  return price;
}

Price from_formula(const Machine& machine, const Algorithm& algorithm, double bytes,
                   const GroupShape& group) {
  const auto at = [&](End end) { return algorithm.seconds(group, bytes, links_at(machine, end)); };
  const double value = at(value_of);
  if (!std::isfinite(value)) return {};
  return {{value, std::min(value, at(low_of)), std::max(value, at(high_of))},
          "formula",
          all_known(links_at(machine, value_of), group)};
}

Price from_model(const Machine& machine, const Algorithm& algorithm, double bytes,
                 const GroupShape& group) {
  if (!serves(algorithm, algorithm.what, bytes, group)) return {};
  const Price price = from_formula(machine, algorithm, bytes, group);
  if (price.by.empty()) return price;
  return from_replay(machine, algorithm, bytes, group, price);
}

// A curve that ends early, as those of slow networks do, goes on as the model of its algorithm.
Price beyond(const Machine& machine, const CollectiveCurve& curve, const Algorithm& algorithm,
             double bytes, const GroupShape& group) {
  const Point& end = curve.seconds.points().back();
  const Price at_end = from_model(machine, algorithm, end.x, group);
  Price price = from_model(machine, algorithm, bytes, group);
  if (price.by.empty() || at_end.seconds.value <= 0) return price;
  const double ratio = end.y.value / at_end.seconds.value;
  Figure& f = price.seconds;
  f = {f.value * ratio, f.low * ratio, f.high * ratio};
  price.in_range = false;
  return price;
}

Price cheapest(const Machine& machine, Collective what, double bytes, const GroupShape& group) {
  Price best;
  for (const Algorithm* algorithm : algorithms()) {
    if (!serves(*algorithm, what, bytes, group)) continue;
    const Price price = price_of(machine, what, bytes, group, algorithm->label);
    const bool better = best.by.empty() || price.seconds.value < best.seconds.value;
    if (!price.by.empty() && better) best = price;
  }
  best.in_range = false;
  return best;
}

// GPUs communicate by NCCL; of a group that nobody has measured, what it expects itself.
bool by_nccl(const Machine& machine, const std::string& label) {
  return label == "nccl" || (label.empty() && machine.device == "cuda");
}

Price from_nccl(const Machine& machine, Collective what, double bytes, const GroupShape& group) {
  const Links links = links_of(machine);
  const LinkProfile* const across = machine.find_link("across");
  const double ports = across ? across->ports : 1;
  const NcclNetwork net{.inside = 1 / links.inside.beta,
                        .across = 1 / links.across.beta,
                        .ports_per_gpu = ports / std::max(machine.devices_per_node, 1)};
  return {{nccl_seconds(what, bytes, group, net)}, "NCCL's model", false};
}

const Algorithm* find_labelled(Collective what, const std::string& label) {
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->what == what && algorithm->label == label) return algorithm;
  }
  return nullptr;
}

}  // namespace

Links links_of(const Machine& machine) {
  return links_at(machine, value_of);
}

Price price_of(const Machine& machine, Collective what, double bytes, const GroupShape& group,
               const std::string& label) {
  if (is_message(what)) return from_message(machine, bytes, group);
  if (group.ranks == 1) return {{}, "formula", true};
  const CollectiveCurve* curve = find_curve(machine, what, group, label);
  const Algorithm* algorithm = find_labelled(what, label);
  if (curve) {
    const Price price = from_curve(*curve, what, bytes);
    const bool ended = bytes > curve->seconds.points().back().x && group.nodes > 1;
    return ended && algorithm ? beyond(machine, *curve, *algorithm, bytes, group) : price;
  }
  if (by_nccl(machine, label)) return from_nccl(machine, what, bytes, group);
  if (!algorithm) return cheapest(machine, what, bytes, group);
  return from_model(machine, *algorithm, bytes, group);
}

const Price& CollectivePrices::of(Collective what, double bytes, const GroupShape& group,
                                  const std::string& label) {
  const Kind kind{what, bytes, label, group.ranks, group.nodes, group.memory, group.shared_memory};
  const auto known = known_.find(kind);
  if (known != known_.end()) return known->second;
  return known_.emplace(kind, price_of(machine_, what, bytes, group, label)).first->second;
}

}  // namespace lockstep
