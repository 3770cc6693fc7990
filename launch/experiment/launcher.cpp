// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/launcher.hpp"

#include <algorithm>
#include <cctype>

#include "runtime/base/error.hpp"
#include "runtime/base/process.hpp"
#include "runtime/context/mpi.hpp"
#include "slurm/command.hpp"
#include "slurm/submission.hpp"

namespace lockstep {

void expect_launcher(const ExperimentFile& e) {
  if (e.launcher == "predict" || !find_command(e.launcher).empty()) return;
  throw ConfigError(e.path + ": experiment.launcher = \"" + e.launcher + "\", but there is no " +
                    e.launcher + " in PATH; " +
                    (e.launcher == "mpirun" ? "install or load an MPI library"
                                            : "use mpirun, or start this where Slurm is") +
                    ", or say --launcher predict");
}

std::vector<std::string> launch_words(const ExperimentFile& e) {
  std::vector<std::string> words = e.launch;
  const bool says = std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word.rfind("--mpi", 0) == 0;
  });
  if (e.launcher != "srun" || says) return words;
  const std::string type = slurm::mpi_type_of(mpi_library());
  const auto known = slurm::run_command({"srun", "--mpi=list"});
  if ((known.out + known.error).find(type) != std::string::npos) words.push_back("--mpi=" + type);
  return words;
}

int nodes_of(int ranks, int ranks_per_node) {
  return (ranks + ranks_per_node - 1) / ranks_per_node;
}

std::vector<std::string> command_of(const LaunchPlan& plan, int ranks, const std::string& job) {
  std::vector<std::string> words{plan.launcher};
  if (plan.launcher == "srun") {
    words.push_back("--ntasks=" + std::to_string(ranks));
    words.push_back("--nodes=" + std::to_string(nodes_of(ranks, plan.ranks_per_node)));
  } else {
    words.insert(words.end(), {"-np", std::to_string(ranks)});
  }
  words.insert(words.end(), plan.words.begin(), plan.words.end());
  words.insert(words.end(), {plan.lockstep, "train", job});
  return words;
}

std::string shell_text(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
      return std::isalnum(c) || std::string_view("-_./=:,+@%").find(c) != std::string_view::npos;
    });
    std::string shown = "'";
    for (const char c : word)
      shown += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += (text.empty() ? "" : " ") + (plain ? word : shown + "'");
  }
  return text;
}

}  // namespace lockstep
