// SPDX-License-Identifier: Apache-2.0
// `lockstep bench COLLECTIVE`: times every candidate, size by size, beside its price. One automatic
// backend serves all of them: it holds our algorithms and the library over the same ranks.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "collectives/algorithms/table.hpp"
#include "collectives/backends/table.hpp"
#include "collectives/sizes.hpp"
#include "launch/bench_report.hpp"
#include "launch/collective_options.hpp"
#include "launch/command.hpp"
#include "launch/job.hpp"
#include "launch/machine_of_job.hpp"
#include "launch/number_checks.hpp"
#include "perfmodels/collective_price.hpp"
#include "perfmodels/cost_table.hpp"
#include "runtime/context/binding.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

// As the command line has it.
struct BenchWords {
  std::string collective, sizes = "8:64M", dtype = "float32", op = "sum", memory = "both", machine;
  std::vector<std::string> backends, algorithms;
  int factor = 4, repetitions = 0, groups = 1;
  double seconds = 0.1;
  bool in_place = true, built_in = false, json = false;
};

std::vector<std::size_t> parse_sizes(const BenchWords& words, DType dtype) {
  const auto range = size_range_from(words.sizes);
  constexpr std::size_t kMost = std::size_t{1} << 40;
  if (!range || range->high > kMost) {
    throw ConfigError("--sizes '" + words.sizes +
                      "' is no range; allowed: LOW:HIGH or one size, with K, M or G for 1024s");
  }
  if (range->low < size_of(dtype)) {
    throw ConfigError("--sizes begins below one element of " + std::string(name_of(dtype)) + ", " +
                      std::to_string(size_of(dtype)) + " bytes");
  }
  std::vector<std::size_t> sizes;
  const auto factor = static_cast<std::size_t>(words.factor);
  for (std::size_t size = range->low; size < range->high; size *= factor)
    sizes.push_back(size);
  sizes.push_back(range->high);
  return sizes;
}

std::vector<std::string> parse_backends(const std::vector<std::string>& names) {
  std::vector<std::string> known;
  std::string allowed;
  for (const BackendEntry& entry : backends()) {
    known.emplace_back(entry.name);
    allowed += (allowed.empty() ? "" : ", ") + known.back();
  }
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw ConfigError("--backend '" + name + "' is unknown; allowed: " + allowed);
  }
  return names.empty() ? known : names;
}

void check_algorithms(Collective what, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (find_algorithm(what, name)) continue;
    std::string allowed;
    for (const Algorithm* known : algorithms()) {
      if (known->what != what) continue;
      allowed += (allowed.empty() ? "" : ", ") + std::string(known->name());
    }
    throw ConfigError("--algorithm '" + name + "' is no algorithm of " + name_of(what) +
                      "; allowed: " + allowed);
  }
}

BenchOptions parse(const BenchWords& words, int ranks) {
  BenchOptions options;
  options.what = parse_collective(words.collective);
  options.dtype = parse_dtype(words.dtype);
  options.op = parse_op(words.op);
  options.sizes = parse_sizes(words, options.dtype);
  options.backends = parse_backends(words.backends);
  check_algorithms(options.what, words.algorithms);
  options.algorithms = words.algorithms;
  options.memory = parse_memory(words.memory);
  options.place = words.in_place ? BenchPlace::in_place : BenchPlace::apart;
  options.repetitions = words.repetitions;
  options.point_seconds = words.seconds;
  options.groups = words.groups;
  if (ranks % words.groups != 0) {
    throw ConfigError("--groups " + std::to_string(words.groups) + " does not divide " +
                      std::to_string(ranks) + " ranks");
  }
  if (words.built_in && !words.machine.empty()) {
    throw ConfigError("--built-in and --machine exclude each other: prices have one source");
  }
  if (options.what == Collective::barrier) {
    options.sizes = {0};
    options.memory = {MemoryKind::plain};
  }
  return options;
}

// Named, but of no use here: better said than left out.
void expect_serve(const BenchOptions& options, const GroupShape& group) {
  for (const std::string& name : options.algorithms) {
    if (const char* why = find_algorithm(options.what, name)->refusal(group)) {
      throw ConfigError("--algorithm '" + name + "' cannot serve " + std::to_string(group.ranks) +
                        " ranks on " + std::to_string(group.nodes) + " nodes: " + why);
    }
  }
}

std::vector<int> colors_of(int ranks, int groups) {
  std::vector<int> colors;
  for (int r = 0; r < ranks; ++r)
    colors.push_back(r * groups / ranks);
  return colors;
}

CommunicatorOptions options_of(const BenchWords& words, const Machine& machine, int ranks) {
  if (words.machine.empty()) {
    return {.constants = words.built_in ? Constants::built_in : Constants::measured};
  }
  return communicator_options({}, machine, ranks);
}

// By the machine's profile.
double predicted(const Machine& machine, GroupShape group, const Call& call,
                 const std::string& label) {
  group.memory = call.memory;
  const auto bytes = static_cast<double>(call.bytes());
  return price_of(machine, call.what, bytes, group, label).seconds.value;
}

int bench(const Context& context, const BenchWords& words) {
  BenchOptions options;
  context.together([&] { options = parse(words, context.size()); });
  bind_to_cores(context, Topology());
  const auto device = make_cpu_device(CommunicationDriver::caller);
  const Machine machine = words.machine.empty() ? Machine{} : find_machine(context, words.machine);
  const CommunicatorOptions made = options_of(words, machine, context.size());
  const auto world = find_backend("auto").make(context.world(), made);
  std::unique_ptr<Backend> part;
  if (options.groups > 1) part = world->split(colors_of(context.size(), options.groups));
  Backend& group = part ? *part : *world;
  const GroupShape shape = group.shape();
  context.together([&] { expect_serve(options, shape); });

  if (made.costs) {
    options.predict = [&](const Call& call, const std::string& label) {
      return predicted(machine, shape, call, label);
    };
  }
  Bench points(context, *device, *world, group, options);
  if (!points.has_shared_memory() && options.memory.back() == MemoryKind::shared) {
    if (context.first()) log_warning("--memory: these ranks share no memory; plain only");
    options.memory = {MemoryKind::plain};
  }
  const bool prints = context.first() && !words.json;
  if (prints) std::fputs((bench_title(options, shape) + bench_header()).c_str(), stdout);
  std::vector<std::vector<BenchRow>> rows;
  for (const MemoryKind memory : options.memory) {
    for (const std::size_t size : options.sizes) {
      rows.push_back(points.point(size, memory));
      if (prints) std::fputs(bench_lines(options, shape.ranks, rows.back()).c_str(), stdout);
      if (prints) std::fflush(stdout);
    }
  }
  if (prints) std::fputs(auto_summary(rows).c_str(), stdout);
  if (context.first() && words.json) {
    std::fputs(bench_json(options, shape, rows).c_str(), stdout);
  }
  return 0;
}

}  // namespace

CommandAction prepare_bench(CLI::App& app) {
  auto words = std::make_shared<BenchWords>();
  app.add_option("collective", words->collective, "all_reduce, all_gather, ...")->required();
  app.add_option("--sizes", words->sizes, "Bytes of the full vector, LOW:HIGH")
      ->capture_default_str();
  app.add_option("--factor", words->factor, "From one size to the next")
      ->capture_default_str()
      ->check(count_from(2));
  app.add_option("--backend", words->backends, "Of auto, native, mpi; default: all")
      ->delimiter(',');
  app.add_option("--algorithm", words->algorithms, "Of native; default: all that can serve")
      ->delimiter(',');
  app.add_option("--dtype", words->dtype, "Type of the elements")->capture_default_str();
  app.add_option("--op", words->op, "sum, product, min, max, average (timed as a sum)")
      ->capture_default_str();
  app.add_option("--memory", words->memory, "plain, shared (from allocate), both")
      ->capture_default_str();
  app.add_flag("--in-place,!--out-of-place", words->in_place, "One tensor or two; default: one");
  app.add_option("--repetitions", words->repetitions, "Of each candidate; default: by time")
      ->check(count_from(1));
  app.add_option("--seconds", words->seconds, "For each candidate at each size")
      ->capture_default_str()
      ->check(positive());
  app.add_option("--groups", words->groups, "Splits the ranks into groups that run at once")
      ->capture_default_str()
      ->check(count_from(1));
  app.add_flag("--built-in", words->built_in,
               "Prices and auto as with job.determinism = \"run\": constants are not measured");
  app.add_option("--machine", words->machine,
                 "Predicted times and auto by this profile; nothing is measured at start");
  app.add_flag("--json", words->json, "Write JSON: seconds, bytes, bytes per second");
  return
      [words] { return run_job([&](const Context& context) { return bench(context, *words); }); };
}

}  // namespace lockstep
