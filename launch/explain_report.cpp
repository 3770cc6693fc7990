// SPDX-License-Identifier: Apache-2.0
#include "launch/explain_report.hpp"

#include <nlohmann/json.hpp>

#include "launch/collective_options.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

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
  const bool nccl = e.chosen.label == std::string("nccl");
  const std::string chosen =
      std::string("auto chooses ") + e.chosen.label + (nccl ? ", as on all GPUs" : "");
  if (!next) return chosen + ": it is the only candidate";
  if (e.chosen.seconds == next->seconds) {
    return chosen + ": " + next->label + " costs the same, and stands behind it in the table";
  }
  return chosen + format(": %s would take %.2f times as long", next->label,
                         next->seconds / e.chosen.seconds);
}

}  // namespace

std::string explanation_table(const Explanation& e) {
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

std::string explanation_json(const Explanation& e) {
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

}  // namespace lockstep
