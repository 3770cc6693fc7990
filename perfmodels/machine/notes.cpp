// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/machine/notes.hpp"

#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

std::string on_threads(const Machine& machine) {
  if (machine.measured_threads == 0) return "";
  return format("Guessed: rates of %d thread%s a rank, taken in proportion for %d",
                machine.measured_threads, machine.measured_threads == 1 ? "" : "s",
                machine.threads_per_device);
}

std::string on_published_runs(const Machine& machine) {
  const PublishedRuns& runs = machine.published;
  if (!runs.known()) return "";
  return format("Trust: published steps took %.2f to %.2f times as long as %s predicts them (%s)",
                runs.least, runs.most, machine.name.c_str(), runs.source.c_str());
}

}  // namespace

std::string notes_on(const Machine& machine) {
  std::string text = on_threads(machine);
  const std::string published = on_published_runs(machine);
  if (!text.empty() && !published.empty()) text += "\n";
  return text + published;
}

}  // namespace lockstep
