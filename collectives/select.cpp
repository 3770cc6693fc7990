// SPDX-License-Identifier: Apache-2.0
#include "collectives/select.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "runtime/base/error.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

void check_known(const std::string& name) {
  std::set<std::string_view> names{"auto"};
  for (const Algorithm* algorithm : algorithms())
    names.insert(algorithm->name());
  if (names.contains(name)) return;
  std::string allowed;
  for (std::string_view known : names)
    (allowed += allowed.empty() ? "" : ", ") += known;
  throw ConfigError("collectives.algorithm = \"" + name + "\" is unknown; allowed: " + allowed);
}

LibraryRules library_rules(const CommunicatorOptions& options) {
  return options.backend == "auto" ? LibraryRules::allowed : LibraryRules::refused;
}

std::string text_of(const GroupShape& group) {
  return std::to_string(group.ranks) + (group.ranks == 1 ? " rank" : " ranks") + " on " +
         std::to_string(group.nodes) + (group.nodes == 1 ? " node" : " nodes");
}

}  // namespace

void sort_by_price(std::vector<Choice>& choices) {
  std::stable_sort(choices.begin(), choices.end(),
                   [](const Choice& a, const Choice& b) { return a.seconds < b.seconds; });
}

void check_names(const CommunicatorOptions& options) {
  check_known(options.algorithm);
  parse_rules(options.rules, library_rules(options));
}

Selector::Selector(const CommunicatorOptions& options, const GroupShape& group, const Links& links)
    : algorithm_(options.algorithm),
      rules_(parse_rules(options.rules, library_rules(options))),
      group_(group),
      links_(links),
      costs_(options.costs) {
  check_known(algorithm_);
}

void Selector::expect_named_serves() const {
  const char* refusal = nullptr;
  bool one_serves = algorithm_ == "auto";
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->name() != algorithm_) continue;
    const char* why = algorithm->refusal(group_);
    one_serves = one_serves || !why;
    if (why) refusal = why;
  }
  if (one_serves) return;
  throw ConfigError("collectives.algorithm = \"" + algorithm_ + "\" cannot serve group world of " +
                    text_of(group_) + ": " + refusal);
}

void Selector::warn_of_rules() const {
  for (const Rule& rule : rules_) {
    const char* why = rule.algorithm ? rule.algorithm->refusal(group_) : nullptr;
    if (!why) continue;
    log_warning("collectives.rules = \"" + rule.text + "\" does not hold in group world of " +
                text_of(group_) + ": " + why);
  }
}

GroupShape Selector::group_of(const Call& call) const {
  GroupShape group = group_;
  group.memory = call.memory;
  return group;
}

bool Selector::serves(const Algorithm& algorithm, const Call& call) const {
  return algorithm.what == call.what && !algorithm.refusal(group_of(call)) &&
         call.bytes() <= algorithm.largest && std::isfinite(priced(algorithm, call).seconds);
}

Choice Selector::priced(const Algorithm& algorithm, const Call& call) const {
  const GroupShape group = group_of(call);
  const auto bytes = static_cast<double>(call.bytes());
  const auto known =
      costs_ ? costs_->seconds(call.what, algorithm.label, group, bytes) : std::nullopt;
  return {algorithm.label, &algorithm, known ? *known : algorithm.seconds(group, bytes, links_)};
}

std::vector<Choice> Selector::candidates(const Call& call) const {
  std::vector<Choice> choices;
  for (const Algorithm* algorithm : algorithms()) {
    if (serves(*algorithm, call)) choices.push_back(priced(*algorithm, call));
  }
  sort_by_price(choices);
  return choices;
}

std::optional<Choice> Selector::library(const Call& call) const {
  if (!costs_) return std::nullopt;
  const auto bytes = static_cast<double>(call.bytes());
  const auto known = costs_->seconds(call.what, "mpi", group_of(call), bytes);
  if (!known) return std::nullopt;
  return Choice{.label = "mpi", .seconds = *known};
}

std::optional<Choice> Selector::asked_for(const Call& call) const {
  for (const Rule& rule : rules_) {
    if (!rule.fits(call)) continue;
    if (!rule.algorithm) return Choice{.label = "mpi"};
    if (serves(*rule.algorithm, call)) return priced(*rule.algorithm, call);
  }
  const Algorithm* named = find_algorithm(call.what, algorithm_);
  if (named && serves(*named, call)) return priced(*named, call);
  return std::nullopt;
}

Choice Selector::choose(const Call& call) const {
  if (is_message(call.what)) return {.label = "native"};
  return cache_.get(call, [&] { return chosen(call); });
}

Choice Selector::chosen(const Call& call) const {
  if (const auto asked = asked_for(call)) return *asked;
  const std::vector<Choice> choices = candidates(call);
  return choices.empty() ? Choice{.label = "native"} : choices.front();
}

}  // namespace lockstep
