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

std::string on_trust(const Machine& machine) {
  if (machine.calibrated) return "";
  const PublishedRuns& runs = machine.published;
  const std::string head = "Trust: " + machine.name + " is not calibrated";
  if (!runs.known()) return head + "; lockstep calibrate measures a machine";
  return head + format(": published steps took %.2f to %.2f times as long as it predicts (%s)",
                       runs.least, runs.most, runs.source.c_str());
}

}  // namespace

std::string notes_on(const Machine& machine) {
  std::string text = on_threads(machine);
  const std::string trust = on_trust(machine);
  if (!text.empty() && !trust.empty()) text += "\n";
  return text + trust;
}

}  // namespace lockstep
