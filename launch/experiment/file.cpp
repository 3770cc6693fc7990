// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/file.hpp"

#include <filesystem>
#include <sstream>

#include "launch/experiment/axes.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/mapped_file.hpp"
#include "runtime/config/suggest.hpp"
#include "runtime/config/toml_text.hpp"
#include "runtime/config/toml_value.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

constexpr const char* kStudies[] = {"strong", "weak", "compare"};
constexpr const char* kLaunchers[] = {"mpirun", "srun", "sbatch", "predict"};
constexpr const char* kAllocations[] = {"point", "one"};

Bounds at_least(double low) {
  return {.low = low};
}
constexpr Bounds kShare{.low = 0, .high = 1};

Section experiment_keys(ExperimentFile& e) {
  return {
      "experiment",
      "what is run, how and how often",
      {
          {"name", &e.name, "what the experiment is called"},
          {"job", &e.job, "the base job: a file, looked for beside this one"},
          {"study",
           &e.study,
           "strong: one batch for all rank counts; weak: batch.global for each rank; compare",
           {},
           kStudies},
          {"machine", &e.machine, "profile that predicts: a file or a shipped one; empty: none"},
          {"launcher",
           &e.launcher,
           "what starts the ranks; predict: nothing is run",
           {},
           kLaunchers},
          {"allocation",
           &e.allocation,
           "sbatch: one job for each point, or one for all",
           {},
           kAllocations},
          {"launch", &e.launch, "more words for the launcher: [\"--bind-to\", \"core\"]"},
          {"dir", &e.dir, "where results go; empty: experiments/<name>"},
          {"ranks", &e.ranks, "of points that say nothing of ranks", at_least(1)},
          {"ranks_per_node", &e.ranks_per_node, "0: the devices per node of the machine",
           at_least(0)},
          {"repetitions", &e.repetitions, "of each point", at_least(1)},
          {"order_seed", &e.order_seed, "of the order of the runs", at_least(0)},
          {"skip_steps", &e.skip_steps, "first steps that are not measured", at_least(0)},
          {"timeout_seconds", &e.timeout_seconds, "a run that takes longer has failed",
           at_least(1)},
          {"start_seconds", &e.start_seconds, "of a run beside its steps, for the cost",
           at_least(0)},
          {"trace", &e.trace, "trace some steps of each run, for the breakdown of time"},
      },
  };
}

Section hypothesis_keys(Hypothesis& h) {
  return {
      "hypothesis",
      "what the report judges",
      {
          {"text", &h.text, "said in the report"},
          {"efficiency", &h.efficiency, "of the most ranks, at least; 0: none", kShare},
          {"winner", &h.winner, "fastest: a value of an axis"},
          {"bottleneck", &h.bottleneck, "computing, optimizer, communication, bubble or other"},
          {"prediction_error", &h.prediction_error, "of every step, at most; 0: none", kShare},
      },
  };
}

std::vector<Section> sections_of(ExperimentFile& e) {
  return {experiment_keys(e), hypothesis_keys(e.hypothesis)};
}

std::string place(const std::string& file, const toml::node& node) {
  return file + ":" + std::to_string(node.source().begin.line);
}

void read_keys(const std::vector<Section>& all, const Section& section, const toml::table& table,
               const std::string& file) {
  for (const auto& [name, node] : table) {
    const std::string where = place(file, node), key_name(name.str());
    const Key* found = nullptr;
    for (const Key& key : section.keys)
      found = key_name == key.name ? &key : found;
    if (!found) {
      throw ConfigError(where + ": " + section.name + "." + key_name + " is not a key; " +
                        suggest_key(section, key_name, all));
    }
    read_value(section, *found, {.where = where, .node = node});
  }
}

void read_sections(ExperimentFile& e, const toml::table& root) {
  const std::vector<Section> all = sections_of(e);
  for (const auto& [key, node] : root) {
    const std::string name(key.str()), where = place(e.path, node);
    const toml::table* table = node.as_table();
    if (!table) throw ConfigError(where + ": " + name + " stands outside any section");
    if (name == "axes") {
      e.axes = read_axes(*table, e.path);
    } else if (name == "set") {
      e.settings = read_settings(*table, e.path);
    } else if (name == all[0].name || name == all[1].name) {
      read_keys(all, name == all[0].name ? all[0] : all[1], *table, e.path);
    } else {
      throw ConfigError(where + ": [" + name +
                        "] is not a section; there are experiment, set, axes, hypothesis");
    }
  }
}

void check(const ExperimentFile& e) {
  const std::string at = e.path + ": ";
  if (e.job.empty()) throw ConfigError(at + "experiment.job names no job file");
  if (e.name.empty() || e.name.find_first_of("/\n") != std::string::npos) {
    throw ConfigError(at + "experiment.name = \"" + e.name +
                      "\" names a directory: it is not empty and has no / in it");
  }
  if (e.axes.empty()) throw ConfigError(at + "[axes] varies nothing; for example ranks = [1, 2]");
  if (e.launcher == "predict" && e.machine.empty()) {
    throw ConfigError(at + "experiment.launcher = \"predict\" needs experiment.machine");
  }
  const std::string& b = e.hypothesis.bottleneck;
  if (!b.empty() && b != "computing" && b != "optimizer" && b != "communication" && b != "bubble" &&
      b != "other") {
    throw ConfigError(at + "hypothesis.bottleneck = \"" + b +
                      "\" must be computing, optimizer, communication, bubble or other");
  }
}

std::string beside(const std::string& file, const std::string& name) {
  const fs::path path = fs::path(file).parent_path() / name;
  std::error_code ignored;
  return !name.empty() && fs::is_regular_file(path, ignored) ? path.string() : name;
}

}  // namespace

bool Hypothesis::empty() const {
  return text.empty() && efficiency == 0 && winner.empty() && bottleneck.empty() &&
         prediction_error == 0;
}

ExperimentFile parse_experiment(const std::string& text, const std::string& path) {
  ExperimentFile e;
  e.path = path;
  read_sections(e, parse_toml(text, path));
  check(e);
  e.job = beside(path, e.job);
  e.machine = beside(path, e.machine);
  if (e.dir.empty()) e.dir = (fs::path("experiments") / e.name).string();
  return e;
}

ExperimentFile load_experiment(const std::string& path) {
  const MappedFile file = MappedFile::open(path);
  const auto bytes = file.bytes();
  return parse_experiment({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

std::string experiment_reference() {
  constexpr std::size_t kCommentColumn = 32;
  ExperimentFile defaults;
  std::string text;
  for (const Section& section : sections_of(defaults)) {
    text += "[" + std::string(section.name) + "]  # " + section.doc + "\n";
    for (const Key& key : section.keys) {
      std::string line = std::string(key.name) + " = " + write_value(key.value);
      line.append(line.size() < kCommentColumn ? kCommentColumn - line.size() : 0, ' ');
      const std::string limits = limits_of(key);
      text += line + "  # " + key.doc + (limits.empty() ? "" : " (" + limits + ")") + "\n";
    }
    text += "\n";
  }
  return text +
         "[set]  # keys of the job that all points have\n"
         "# job.steps = 20\n\n"
         "[axes]  # what is varied; every combination is a point\n"
         "# ranks = [1, 2]\n"
         "# collectives.backend = [\"native\", \"mpi\"]\n"
         "# layout = [{name = \"data\", parallel.data = 2}, {name = \"tensor\", parallel.tensor = "
         "2}]\n";
}

}  // namespace lockstep
