// SPDX-License-Identifier: Apache-2.0
#include "collectives/rules.hpp"

#include <sstream>

#include "collectives/sizes.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr const char* kForm =
    "a rule is \"COLLECTIVE LOW:HIGH ALGORITHM\", as in "
    "\"all_reduce 0:64K ring\" or \"all_gather 1M: ring\"";

[[noreturn]] void refuse(const std::string& rule, const std::string& why) {
  throw ConfigError("collectives.rules = \"" + rule + "\": " + why);
}

Collective parse_collective(const std::string& rule, const std::string& name) {
  Collective what = Collective::barrier;
  try {
    what = collective_named(name.c_str());
  } catch (const ConfigError& error) {
    refuse(rule, error.what());
  }
  if (is_message(what)) {
    refuse(rule, "messages have no algorithms");
  }
  return what;
}

const Algorithm* parse_algorithm(const std::string& rule, Collective what, const std::string& name,
                                 LibraryRules library) {
  if (name == "mpi" && library == LibraryRules::allowed) return nullptr;
  if (name == "mpi") refuse(rule, "\"mpi\" needs collectives.backend = \"auto\"");
  if (const Algorithm* algorithm = find_algorithm(what, name)) return algorithm;
  std::string allowed;
  for (const Algorithm* known : algorithms()) {
    if (known->what == what) allowed += (allowed.empty() ? "" : ", ") + std::string(known->name());
  }
  if (library == LibraryRules::allowed) allowed += allowed.empty() ? "mpi" : ", mpi";
  refuse(rule, "\"" + name + "\" is no algorithm of " + name_of(what) + "; allowed: " + allowed);
}

Rule parse_rule(const std::string& text, LibraryRules library) {
  std::istringstream words(text);
  std::string collective, sizes, algorithm, more;
  words >> collective >> sizes >> algorithm;
  if (algorithm.empty() || words >> more) refuse(text, kForm);
  const Collective what = parse_collective(text, collective);
  const auto range = size_range_from(sizes);
  if (!range || sizes.find(':') == std::string::npos || range->low == range->high) {
    refuse(text, "\"" + sizes + "\" is no range of sizes; " + kForm);
  }
  return {text, what, range->low, range->high, parse_algorithm(text, what, algorithm, library)};
}

}  // namespace

std::vector<Rule> parse_rules(const std::vector<std::string>& texts, LibraryRules library) {
  std::vector<Rule> rules;
  for (const std::string& text : texts)
    rules.push_back(parse_rule(text, library));
  return rules;
}

}  // namespace lockstep
