// SPDX-License-Identifier: Apache-2.0
#include "launch/run_summary.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "launch/build_facts.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

std::string communication_line(const RunSummary& s) {
  if (s.ranks == 1 || s.seconds.communication == 0) return "";
  const double hidden = std::max(0.0, 1 - s.seconds.blocked / s.seconds.communication);
  return format(
      "communication     %.1f ms per step under way, %.0f %% of it behind backward; %.2f ms "
      "exposed, %.2f ms waiting for the last rank\n",
      1e3 * s.seconds.communication, 100 * hidden, 1e3 * s.seconds.exposed,
      1e3 * s.seconds.waiting);
}

}  // namespace

std::string summary_text(const RunSummary& s) {
  const double speed = s.tokens / s.seconds.step;
  std::string text = "\n";
  if (s.evaluation) {
    text += format("validation loss   %.4f nats per %s, accuracy %.2f %%\n", s.evaluation->loss,
                   s.unit, 100 * s.evaluation->accuracy);
  }
  text += format("speed             %.0f tokens/s, %.0f per rank (median step %.1f ms)\n", speed,
                 speed / s.ranks, 1e3 * s.seconds.step);
  text += format("MFU               %.1f %% of the measured GEMM rate, %.0f GFLOP/s per rank\n",
                 100 * s.model_flops / s.seconds.step / s.gemm_rate, s.gemm_rate * 1e-9);
  text += communication_line(s);
  text += format("memory            %.1f MiB of tensors at most, on the rank that has most\n",
                 static_cast<double>(s.peak_bytes) / (1 << 20));
  if (s.target_seconds > 0) {
    text += format("time to target    %.2f s\n", s.target_seconds);
  }
  if (s.predicted_seconds > 0) {
    text += format("predicted step    %.1f ms, %+.1f %%\n", 1e3 * s.predicted_seconds,
                   100 * (s.predicted_seconds / s.seconds.step - 1));
  }
  return text + "run directory     " + s.run_dir;
}

void write_summary(const RunSummary& s) {
  using Json = nlohmann::ordered_json;
  const Json json = {
      {"version", build_facts().version},
      {"host", s.hosts},
      {"ranks", s.ranks},
      {"nodes", s.nodes},
      {"threads", s.threads},
      {"step_seconds", s.seconds.step},
      {"predicted_seconds", s.predicted_seconds > 0 ? Json(s.predicted_seconds) : Json(nullptr)},
      {"tokens_per_second", s.tokens / s.seconds.step},
      {"mfu", s.model_flops / s.seconds.step / s.gemm_rate},
      {"gemm_rate", s.gemm_rate},
      {"communication_seconds", s.seconds.communication},
      {"exposed_comm_seconds", s.seconds.exposed},
      {"waiting_seconds", s.seconds.waiting},
      {"memory_bytes", s.peak_bytes},
      {"validation_loss", s.evaluation ? Json(s.evaluation->loss) : Json(nullptr)},
      {"validation_accuracy", s.evaluation ? Json(s.evaluation->accuracy) : Json(nullptr)},
      {"finished", s.finished},
      {"train_seconds", s.train_seconds},
      {"target_seconds", s.target_seconds > 0 ? Json(s.target_seconds) : Json(nullptr)}};
  write_file(s.run_dir + "/summary.json", json.dump(2) + "\n");
}

}  // namespace lockstep
