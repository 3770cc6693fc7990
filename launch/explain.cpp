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

#include "collectives/backends/table.hpp"
#include "collectives/sample_call.hpp"
#include "collectives/select.hpp"
#include "launch/collective_options.hpp"
#include "launch/command.hpp"
#include "launch/explain_report.hpp"
#include "launch/job.hpp"
#include "launch/number_checks.hpp"
#include "perfmodels/collective_price.hpp"
#include "perfmodels/cost_table.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/simulate/difference.hpp"

namespace lockstep {

namespace {

constexpr int kDefaultRanks = 8;

struct ExplainOptions {
  std::string collective, bytes, dtype = "float32", memory = "plain", machine;
  int ranks = 0, nodes = 0;  // 0: not given
  bool measure = false, json = false;
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
  const bool on_gpus = machine.device == "cuda";  // which NCCL serves, whatever it costs
  if (on_gpus) choices.push_back({.label = "nccl", .seconds = price("nccl").seconds.value});
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
  const auto chosen = std::find_if(choices.begin(), choices.end(), [&](const Choice& c) {
    return !on_gpus || c.label == std::string("nccl");
  });
  if (chosen != choices.end()) e.chosen = *chosen;
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

void print(const Explanation& e, const ExplainOptions& options) {
  std::fputs((options.json ? explanation_json(e) : explanation_table(e)).c_str(), stdout);
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
