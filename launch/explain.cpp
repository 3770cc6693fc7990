// SPDX-License-Identifier: Apache-2.0
// `lockstep explain COLLECTIVE --bytes N`: what every candidate is expected to cost, who is chosen
// and why, and the constants behind the prices with their source. Needs no ranks; with --measure
// the ranks of mpirun measure the constants first, with --machine a profile has the prices.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "collectives/backends/table.hpp"
#include "collectives/sample_call.hpp"
#include "collectives/select.hpp"
#include "launch/collective_options.hpp"
#include "launch/command.hpp"
#include "launch/job.hpp"
#include "launch/number_checks.hpp"
#include "perfmodels/collective_price.hpp"
#include "perfmodels/cost_table.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/simulate/difference.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;
constexpr int kDefaultRanks = 8;

struct ExplainOptions {
  std::string collective, bytes, dtype = "float32", memory = "plain", machine;
  int ranks = 0, nodes = 0;  // 0: not given
  bool measure = false, json = false;
};

struct Refused {
  std::string label, why;
};

struct Explanation {
  Call call;
  GroupShape group;
  Links links;
  std::vector<Choice> candidates;  // cheapest first
  Choice chosen;
  std::vector<Refused> refused;
  // Of each candidate, where a machine's profile has its price: from what; and of the chosen one,
  // how formula and replay differ.
  std::vector<std::string> by{};
  std::string why{};
};

std::vector<Refused> refused_of(const Call& call, GroupShape group) {
  group.memory = call.memory;
  std::vector<Refused> refused;
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->what != call.what) continue;
    if (const char* why = algorithm->refusal(group)) {
      refused.push_back({algorithm->label, why});
    } else if (call.bytes() > algorithm->largest) {
      refused.push_back(
          {algorithm->label, "it serves at most " + std::to_string(algorithm->largest) + " bytes"});
    }
  }
  return refused;
}

Call call_of(const ExplainOptions& options, int ranks) {
  const Collective what = parse_collective(options.collective);
  if (options.bytes.empty() && what != Collective::barrier)
    throw ConfigError("--bytes is missing: the size of the full vector, such as --bytes 1M");
  const DType dtype = parse_dtype(options.dtype);
  const std::size_t bytes = what == Collective::barrier ? 0 : parse_bytes("--bytes", options.bytes);
  const std::vector<MemoryKind> memory = parse_memory(options.memory);
  if (memory.size() != 1) throw ConfigError("--memory 'both' is for bench; explain takes one");
  return Sample{.what = what,
                .count = bytes / size_of(dtype),
                .dtype = dtype,
                .ranks = ranks,
                .memory = memory.front()}
      .in_place(nullptr);
}

GroupShape shape_of(const ExplainOptions& options) {
  const int given = launched_by_others() ? size_from_launcher() : kDefaultRanks;
  const int ranks = options.ranks > 0 ? options.ranks : given;
  const int nodes = std::max(options.nodes, 1);
  if (nodes > ranks) {
    throw ConfigError("--nodes " + std::to_string(nodes) + " is more than --ranks " +
                      std::to_string(ranks));
  }
  return assumed_shape(ranks, nodes);
}

Explanation explain_built_in(const ExplainOptions& options) {
  const GroupShape group = shape_of(options);
  const Call call = call_of(options, group.ranks);
  const Selector selector({}, group);
  Explanation e{call,
                group,
                selector.links(),
                selector.candidates(call),
                selector.choose(call),
                refused_of(call, group)};
  e.refused.push_back({"mpi", "its price is measured only: mpirun ... --measure"});
  return e;
}

// Ranks that fill the machine's nodes one by one, unless --nodes says how many there are.
GroupShape shape_on(const CostTable& table, const ExplainOptions& options) {
  const GroupShape given = shape_of(options);
  const int q = table.ranks_per_node, needed = (given.ranks + q - 1) / q;
  const int nodes = options.nodes > 0 ? options.nodes : needed;
  return table.as_there(assumed_shape(given.ranks, nodes));
}

std::string by_text(const Price& price) {
  return price.by + (price.in_range ? "" : " (beyond the profile)");
}

Explanation explain_machine(const ExplainOptions& options) {
  const Machine machine = find_machine(options.machine);
  GroupShape group = shape_on(*cost_table_of(machine), options);
  const Call call = call_of(options, group.ranks);
  group.memory = call.memory;
  Explanation e{call, group, links_of(machine), {}, {}, refused_of(call, group)};
  const Selector serving({}, group, e.links);
  std::vector<Choice> choices = serving.candidates(call);
  const auto bytes = static_cast<double>(call.bytes());
  const auto price = [&](const char* label) {
    return price_of(machine, call.what, bytes, group, label);
  };
  for (Choice& choice : choices)
    choice.seconds = price(choice.label).seconds.value;
  const Price library = price("mpi");
  if (library.by == "curve") {
    choices.push_back({.label = "mpi", .seconds = library.seconds.value});
  } else {
    e.refused.push_back({"mpi", "the profile has no times of it in such a group"});
  }
  sort_by_price(choices);
  for (const Choice& choice : choices)
    e.by.push_back(by_text(price(choice.label)));
  e.candidates = choices;
  if (!choices.empty()) e.chosen = choices.front();
  constexpr double kMostBytes = 64 << 20;  // of a replay that nobody waits long for
  if (e.chosen.algorithm && e.by.front().starts_with("replay") && bytes <= kMostBytes) {
    e.why = difference(machine, *e.chosen.algorithm, bytes, group).text();
  }
  return e;
}

Explanation explain_measured(const ExplainOptions& options, const Context& context) {
  if (options.ranks > 0 || options.nodes > 0) {
    throw ConfigError("--measure prices the ranks that run: leave out --ranks and --nodes");
  }
  if (context.size() == 1) {
    throw ConfigError("--measure needs at least 2 ranks: mpirun -np 2 lockstep explain ...");
  }
  const Call call = call_of(options, context.size());
  const auto backend =
      find_backend("auto").make(context.world(), {.constants = Constants::measured});
  return {call,
          backend->shape(),
          backend->links(),
          backend->candidates(call),
          backend->choose(call),
          refused_of(call, backend->shape())};
}

struct Constant {
  const char *name, *unit, *meaning, *source;
  double value;  // in seconds, of a message or of a byte
};

std::vector<Constant> constants_of(const Links& links) {
  const auto rate = "GB/s";
  const Link &inside = links.inside, &across = links.across;
  const SharedCosts& shared = links.shared;
  return {
      {"inside.alpha", "us", "a message on a node", inside.source, inside.alpha},
      {"inside.beta", rate, "its bytes", inside.source, inside.beta},
      {"across.alpha", "us", "a message between nodes", across.source, across.alpha},
      {"across.beta", rate, "its bytes", across.source, across.beta},
      {"gamma", rate, "bytes reduced", inside.gamma_source, inside.gamma},
      {"shared.sync", "us", "all see a flag of all, per rank", shared.source, shared.sync},
      {"shared.copy", rate, "bytes copied by a core", shared.source, shared.copy},
      {"shared.reduce", rate, "bytes read to be reduced", shared.source, shared.reduce},
      {"shared.stage", rate, "bytes staged, and read by a rank", shared.source, shared.stage},
      {"shared.reach", "us", "to begin to read unmapped memory", shared.source, shared.reach},
      {"shared.fetch", rate, "bytes of that", shared.source, shared.fetch},
  };
}

double shown(const Constant& c) {
  return std::string(c.unit) == "us" ? c.value * 1e6 : 1e-9 / c.value;
}

std::string where(const GroupShape& group) {
  std::string text = format("%d rank%s on %d node%s", group.ranks, group.ranks == 1 ? "" : "s",
                            group.nodes, group.nodes == 1 ? "" : "s");
  if (group.nodes > 1 && group.even) text += format(" (%d on each)", group.per_node());
  return text;
}

const Choice* next_best(const Explanation& e) {
  for (const Choice& choice : e.candidates) {
    if (choice.label != std::string(e.chosen.label)) return &choice;
  }
  return nullptr;
}

std::string verdict(const Explanation& e) {
  const Choice* next = next_best(e);
  if (e.candidates.empty()) return "nobody serves it";
  const std::string chosen = std::string("auto chooses ") + e.chosen.label;
  if (!next) return chosen + ": it is the only candidate";
  if (e.chosen.seconds == next->seconds) {
    return chosen + ": " + next->label + " costs the same, and stands behind it in the table";
  }
  return chosen + format(": %s would take %.2f times as long", next->label,
                         next->seconds / e.chosen.seconds);
}

std::string table_of(const Explanation& e) {
  std::string text = format("%s of %zu bytes (%zu x %s) among %s, %s memory\n\n",
                            name_of(e.call.what), e.call.bytes(), e.call.count(),
                            name_of(e.call.dtype), where(e.group).c_str(), name_of(e.call.memory));
  const char* by = e.by.empty() ? "" : "  by";
  text += format("  %-30s %14s %10s%s\n", "candidate", "expected us", "x best", by);
  for (std::size_t i = 0; i < e.candidates.size(); ++i) {
    const Choice& c = e.candidates[i];
    const double best = e.candidates.front().seconds;
    text += format("  %-30s %14.2f %10.2f%s\n", c.label, c.seconds * 1e6,
                   best > 0 ? c.seconds / best : 1.0, e.by.empty() ? "" : ("  " + e.by[i]).c_str());
  }
  for (const Refused& r : e.refused)
    text += format("  %-30s not a candidate: %s\n", r.label.c_str(), r.why.c_str());
  text += "\n" + verdict(e) + "\n";
  if (!e.why.empty()) text += std::string(e.chosen.label) + ": " + e.why + "\n";
  text += "\n";
  text += format("  %-30s %14s  %-5s %-9s %s\n", "constant", "value", "", "source", "of");
  for (const Constant& c : constants_of(e.links)) {
    text += format("  %-30s %14.3f  %-5s %-9s %s\n", c.name, shown(c), c.unit, c.source, c.meaning);
  }
  return text;
}

std::string json_of(const Explanation& e) {
  Json candidates = Json::array(), refused = Json::array(), constants = Json::object();
  for (const Choice& c : e.candidates) {
    candidates.push_back({{"backend", backend_of(c.label)},
                          {"algorithm", algorithm_of(c.label)},
                          {"predicted_seconds", c.seconds}});
    if (!e.by.empty()) candidates.back()["by"] = e.by[candidates.size() - 1];
  }
  for (const Refused& r : e.refused) {
    refused.push_back({{"backend", backend_of(r.label)},
                       {"algorithm", algorithm_of(r.label)},
                       {"reason", r.why}});
  }
  for (const Constant& c : constants_of(e.links))
    constants[c.name] = {{"seconds", c.value}, {"source", c.source}};
  const Json all = {{"collective", name_of(e.call.what)},
                    {"bytes", e.call.bytes()},
                    {"ranks", e.group.ranks},
                    {"nodes", e.group.nodes},
                    {"memory", name_of(e.call.memory)},
                    {"chosen", e.candidates.empty() ? "" : e.chosen.label},
                    {"reason", verdict(e)},
                    {"formula_and_replay", e.why},
                    {"candidates", candidates},
                    {"refused", refused},
                    {"constants", constants}};
  return all.dump(2) + "\n";
}

void print(const Explanation& e, const ExplainOptions& options) {
  std::fputs((options.json ? json_of(e) : table_of(e)).c_str(), stdout);
}

int explain(const ExplainOptions& options) {
  if (options.measure && !options.machine.empty()) {
    throw ConfigError("--measure and --machine exclude each other: prices have one source");
  }
  if (options.measure) {
    return run_job([&](const Context& context) {
      const Explanation e = explain_measured(options, context);
      if (context.first()) print(e, options);
      return 0;
    });
  }
  if (rank_from_launcher() != 0) return 0;
  print(options.machine.empty() ? explain_built_in(options) : explain_machine(options), options);
  return 0;
}

}  // namespace

CommandAction prepare_explain(CLI::App& app) {
  auto options = std::make_shared<ExplainOptions>();
  app.add_option("collective", options->collective, "all_reduce, all_gather, ...")->required();
  app.add_option("--bytes", options->bytes, "Size of the full vector: 8, 64K, 4M, 1G");
  app.add_option("--ranks", options->ranks, "Ranks of the group")->check(count_from(1));
  app.add_option("--nodes", options->nodes, "Nodes they lie on")->check(count_from(1));
  app.add_option("--dtype", options->dtype, "Type of the elements");
  app.add_option("--memory", options->memory, "Of the tensors: plain, shared (allocate)");
  app.add_option("--machine", options->machine,
                 "Prices by this profile: a file of lockstep calibrate, or a name that is shipped");
  app.add_flag("--measure", options->measure, "Under mpirun: measure the constants here first");
  app.add_flag("--json", options->json, "Write JSON");
  return [options] { return explain(*options); };
}

}  // namespace lockstep
