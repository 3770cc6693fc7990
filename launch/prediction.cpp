// SPDX-License-Identifier: Apache-2.0
#include "launch/prediction.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "perfmodels/machine/threads.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/data/corpus.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t kShownGuesses = 8;

struct Part {
  const char* name;
  double seconds;
};

std::vector<Part> parts_of(const Breakdown& b) {
  return {{"gemm", b.gemm},
          {"attention", b.attention},
          {"streaming", b.streaming},
          {"optimizer", b.optimizer},
          {"data", b.data},
          {"launch", b.launch},
          {"exposed_communication", b.exposed},
          {"waiting", b.waiting.value},
          {"pipeline_bubble", b.bubble}};
}

std::string joined(const std::string& a, const std::string& b) {
  return a + (a.empty() || b.empty() ? "" : "; ") + b;
}

const StageShare& worst_of(const std::vector<StageShare>& stages) {
  return *std::max_element(
      stages.begin(), stages.end(),
      [](const StageShare& a, const StageShare& b) { return a.bubble < b.bubble; });
}

std::string stages_text(const StepPrediction& step) {
  if (step.stages.empty()) return "";
  const StageShare& worst = worst_of(step.stages);
  return format(
      "  of %zu stages these are the means; the one that waits most waits %.2f ms, %.1f %%\n",
      step.stages.size(), 1e3 * worst.bubble, 100 * worst.bubble / step.seconds);
}

std::string interval_text(const StepPrediction& step) {
  if (!step.has_interval()) return "no interval: the profile has none";
  return format("90 %% interval %.1f to %.1f ms", 1e3 * step.low, 1e3 * step.high);
}

std::string guesses_text(const StepPrediction& step) {
  if (step.guessed.empty()) return "guessed           nothing\n";
  int launches = 0;
  double seconds = 0;
  for (const Guess& g : step.guessed) {
    launches += g.launches;
    seconds += g.seconds;
  }
  std::string text =
      format("guessed           %zu shapes, %d launches, %.2f ms of work, hidden work included\n",
             step.guessed.size(), launches, 1e3 * seconds);
  for (std::size_t i = 0; i < std::min(kShownGuesses, step.guessed.size()); ++i) {
    const Guess& g = step.guessed[i];
    text += format("  %-48s by %-12s %5d x %10.3f ms\n", g.operation.c_str(), g.by.c_str(),
                   g.launches, 1e3 * g.seconds / g.launches);
  }
  if (step.guessed.size() > kShownGuesses) {
    text += format("  and %zu more (--json has all)\n", step.guessed.size() - kShownGuesses);
  }
  return text;
}

std::string memory_text(const JobPrediction& p) {
  const MemoryStats& m = p.step.memory;
  std::string text = format("memory            %.1f MiB of tensors at most, per rank",
                            static_cast<double>(m.peak) / (1 << 20));
  text += p.step.stages.empty() ? "\n" : format(" of stage %d\n", p.step.memory_stage);
  for (int use = 0; use < kNumMemoryUses; ++use) {
    text += format("  %-24s %10.1f MiB\n", name_of(static_cast<MemoryUse>(use)),
                   static_cast<double>(m.at_peak[static_cast<std::size_t>(use)]) / (1 << 20));
  }
  if (p.copies_bytes > 0) {
    text += format("  and in the host's memory %.1f MiB of copies for checkpoints\n",
                   p.copies_bytes / (1 << 20));
  }
  if (p.device_memory > 0 && static_cast<double>(m.peak) > p.device_memory) {
    text += format("  more than the %.1f MiB of the device\n", p.device_memory / (1 << 20));
  }
  return text;
}

// What is written behind training is a copy of the rank's shard; copies in memory are taken from
// another one, and there are those of two steps, with several nodes twice. What data ranks have
// alike they share.
double copies_bytes(const JobConfig& job, const Machine& machine, int ranks,
                    const MemoryStats& memory) {
  const auto& p = job.parallel;
  const int data = std::max(1, ranks / (p.tensor * p.pipeline));
  const auto used = [&](MemoryUse use, bool shared) {
    const auto bytes = static_cast<double>(memory.at_peak[static_cast<std::size_t>(use)]);
    return shared ? bytes / data : bytes;
  };
  const double shard =
      used(MemoryUse::parameters, p.zero < 3) + used(MemoryUse::optimizer, p.zero == 0);
  double copies = job.checkpoint.every > 0 ? 1 : 0;
  if (job.checkpoint.memory_every > 0) copies += ranks > machine.devices_per_node ? 5 : 3;
  return copies * shard;
}

}  // namespace

std::int64_t vocabulary_of(const JobConfig& job) {
  if (job.model.vocabulary > 0) return job.model.vocabulary;
  return job.data.kind == "bytes" ? 256 : open_corpus(job.data, 0).vocabulary;
}

int ranks_of(const JobConfig& job, int asked_for, int otherwise) {
  if (asked_for > 0) return asked_for;
  const auto& p = job.parallel;
  return p.data > 0 ? p.data * p.tensor * p.pipeline : otherwise;
}

// perfmodels/published says of which machines and programs.
std::string sureness_of(const Machine& machine) {
  if (machine.calibrated) return "";
  if (machine.device != "cuda")
    return "the profile is not calibrated: lockstep calibrate measures a machine";
  return "the profile is made of data sheets, not calibrated: published steps took up to 1.5 times "
         "as "
         "long, and kept the predicted efficiency within 4 points on average";
}

JobPrediction predict_job(JobConfig job, const Machine& profile, int ranks) {
  const Machine machine = with_threads(profile, static_cast<int>(job.job.threads));
  ranks = ranks_of(job, ranks, machine.devices_per_node);
  job.model.vocabulary = vocabulary_of(job);
  const auto record = record_step(job, ranks, machine);
  JobPrediction p{job.model.kind,
                  machine.name,
                  ranks,
                  joined(threads_note(machine), sureness_of(machine)),
                  record->job_parameters,
                  machine.memory_bytes,
                  predict_step(*record, machine)};
  p.copies_bytes = copies_bytes(job, machine, ranks, p.step.memory);
  // Other ranks of a node compute in the same memory.
  const bool as_measured = machine.device != "cpu" || ranks >= machine.devices_per_node;
  p.step.in_range = p.step.in_range && as_measured;
  return p;
}

std::string prediction_table(const JobPrediction& p) {
  const StepPrediction& s = p.step;
  const Breakdown& b = s.breakdown;
  std::string text = format("One step of %s, %.3f M parameters, on %d rank%s of %s\n\n",
                            p.model.c_str(), static_cast<double>(p.parameters) * 1e-6, p.ranks,
                            p.ranks == 1 ? "" : "s", p.machine.c_str());
  if (!p.note.empty()) text += p.note + "\n\n";
  text += format("step              %.2f ms (%s; %s)\n", 1e3 * s.seconds, interval_text(s).c_str(),
                 s.in_range ? "inside the calibrated range" : "outside the calibrated range");
  text += format("speed             %.0f tokens/s, %.0f per rank\n", s.tokens_per_second,
                 s.tokens_per_second / p.ranks);
  text += format("MFU               %.1f %% of the peak, HFU %.1f %%\n", 100 * s.mfu, 100 * s.hfu);
  text += "time\n";
  for (const Part& part : parts_of(b)) {
    std::string name = part.name;
    std::replace(name.begin(), name.end(), '_', ' ');
    text += format("  %-24s %10.2f ms %6.1f %%\n", name.c_str(), 1e3 * part.seconds,
                   100 * part.seconds / s.seconds);
  }
  for (const auto& [axis, seconds] : b.axes) {
    text += format("  communication of %s: %.2f ms exposed, %.2f ms hidden\n", axis.c_str(),
                   1e3 * seconds.exposed, 1e3 * seconds.hidden);
  }
  if (b.waiting.value > 0) {
    text += format("  waiting for the last rank: 90 %% of the time %.2f to %.2f ms\n",
                   1e3 * b.waiting.low, 1e3 * b.waiting.high);
  }
  if (b.overlap_loss > 0) {
    text +=
        format("  computing beside communication costs %.2f ms of these\n", 1e3 * b.overlap_loss);
  }
  if (b.recompute > 0)
    text +=
        format("  forward passes that backward repeats take %.2f ms of these\n", 1e3 * b.recompute);
  return text + stages_text(s) + memory_text(p) + guesses_text(s);
}

std::string prediction_json(const JobPrediction& p) {
  const StepPrediction& s = p.step;
  Json breakdown, axes = Json::object(), memory, guessed = Json::array();
  for (const Part& part : parts_of(s.breakdown))
    breakdown[part.name] = part.seconds;
  breakdown["hidden_communication"] = s.breakdown.hidden;
  breakdown["overlap_loss"] = s.breakdown.overlap_loss;
  breakdown["recompute"] = s.breakdown.recompute;
  if (!s.stages.empty()) breakdown["worst_pipeline_bubble"] = worst_of(s.stages).bubble;
  breakdown["waiting_interval"] = {s.breakdown.waiting.low, s.breakdown.waiting.high};
  for (const auto& [axis, seconds] : s.breakdown.axes)
    axes[axis] = {{"exposed", seconds.exposed}, {"hidden", seconds.hidden}};
  breakdown["communication"] = axes;
  for (int use = 0; use < kNumMemoryUses; ++use)
    memory[name_of(static_cast<MemoryUse>(use))] = s.memory.at_peak[static_cast<std::size_t>(use)];
  for (const Guess& g : s.guessed) {
    guessed.push_back({{"operation", g.operation},
                       {"by", g.by},
                       {"launches", g.launches},
                       {"seconds", g.seconds}});
  }
  const Json all = {{"model", p.model},
                    {"machine", p.machine},
                    {"ranks", p.ranks},
                    {"note", p.note},
                    {"step_seconds", s.seconds},
                    {"interval", s.has_interval() ? Json{s.low, s.high} : Json(nullptr)},
                    {"in_range", s.in_range},
                    {"tokens_per_second", s.tokens_per_second},
                    {"mfu", s.mfu},
                    {"hfu", s.hfu},
                    {"memory_bytes", s.memory.peak},
                    {"memory_stage", s.memory_stage},
                    {"stages", std::max<std::size_t>(s.stages.size(), 1)},
                    {"parameters", p.parameters},
                    {"breakdown", breakdown},
                    {"memory_breakdown", memory},
                    {"host_copies_bytes", static_cast<std::int64_t>(p.copies_bytes)},
                    {"guessed", guessed}};
  return all.dump(2) + "\n";
}

}  // namespace lockstep
