// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "models/registry.hpp"
#include "parallelism/pipeline/table.hpp"
#include "perfmodels/plan_keep.hpp"
#include "perfmodels/plan_price.hpp"
#include "perfmodels/plan_step.hpp"
#include "perfmodels/software.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr int kMostChunks = 8;

std::vector<std::int64_t> divisors_of(std::int64_t n) {
  std::vector<std::int64_t> all;
  for (std::int64_t d = 1; d <= n; ++d) {
    if (n % d == 0) all.push_back(d);
  }
  return all;
}

// Ascending, with the job's own.
std::vector<double> buckets_of(const JobConfig& job, const PlanChoices& choices) {
  std::vector<double> sizes = choices.bucket_mb;
  sizes.push_back(job.parallel.bucket_mb);
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

// Prices of collectives are made once for all layouts, not for the groups of the job's own.
JobConfig without_layout(JobConfig job) {
  job.parallel = {};
  return job;
}

class Planner {
 public:
  Planner(const JobConfig& job, int ranks, const Machine& machine, const PlanChoices& choices)
      : job_(job),
        ranks_(ranks),
        machine_(machine),
        choices_(choices),
        kept_(choices.keep),
        model_(find_model_kind(job.model.kind)),
        software_(find_software(job.job.software)),
        options_(options_on(machine, without_layout(job), ranks)),
        times_(machine),
        prices_(job, ranks, machine, options_) {}

  Plan run() {
    const double begin = now();
    for (const MeshDegrees& degrees : degrees_for(ranks_)) {
      const std::string why = refusal(degrees);
      if (!why.empty()) {
        ++plan_.left_out[why];
        continue;
      }
      for (const std::int64_t micro : divisors_of(job_.batch.global / degrees.data)) {
        if (degrees.tensor * degrees.pipeline == 1) add_micro_batch(degrees, micro);
        add_cut_models(degrees, micro);
      }
    }
    if (plan_.layouts.empty()) {
      throw ConfigError(
          format("no layout of %d ranks is valid: %s", ranks_,
                 plan_.left_out.empty() ? "" : plan_.left_out.begin()->first.c_str()));
    }
    rank();
    plan_.recordings += prices_.recordings();
    plan_.seconds_per_layout = (now() - begin) / static_cast<double>(plan_.layouts.size());
    return std::move(plan_);
  }

 private:
  void add_micro_batch(const MeshDegrees& degrees, std::int64_t micro) {
    const bool alone = degrees.data == 1;  // nothing is communicated
    const auto compressions = alone || choices_.compressions.empty()
                                  ? std::vector{job_.collectives.compression}
                                  : choices_.compressions;
    Layout layout{.degrees = degrees,
                  .micro = micro,
                  .num_micro = job_.batch.global / degrees.data / micro,
                  .bucket_mb = job_.parallel.bucket_mb};
    layout.zero = job_.parallel.zero;
    layout.recompute = job_.parallel.recompute;
    if (!may_run(layout)) return;
    for (const std::string& compression : compressions) {
      layout.compression = compression;
      if (alone) {
        add_recording(layout);
        continue;
      }
      for (const double size : buckets_of(job_, choices_)) {
        layout.bucket_mb = size;
        if (!kept_.hold(job_, layout)) continue;
        add_recording(layout);
        if (size >= gradients_mb_) break;  // one bucket holds all: larger ones are the same
      }
    }
  }

  // As its user wants and its software can; what it cannot is counted.
  bool may_run(const Layout& l) {
    const std::string why = kept_.hold(job_, l) ? lockstep::refusal(software_, l, job_.model.layers)
                                                : "--keep holds other values";
    if (!why.empty()) ++plan_.left_out[why];
    return why.empty();
  }

  // Why no layout of these degrees is valid; "" if some may be.
  std::string refusal(const MeshDegrees& d) const {
    const ModelSection& m = job_.model;
    if (job_.batch.global % d.data != 0) return "batch.global is not a multiple of parallel.data";
    if (d.tensor > 1 && !model_.cuts_layers)
      return "layers of model.kind = " + m.kind + " cannot be cut over parallel.tensor";
    const std::int64_t kv_heads = m.kv_heads > 0 ? m.kv_heads : m.heads;
    if (m.heads % d.tensor != 0 || kv_heads % d.tensor != 0 || m.ffn % d.tensor != 0)
      return "heads or ffn are not a multiple of parallel.tensor";
    if (d.tensor > machine_.devices_per_node) return "parallel.tensor does not fit into a node";
    if (d.pipeline > m.layers) return "more stages than layers";
    return "";
  }

  // With the model's states or layers cut, or activations computed again.
  void add_cut_models(const MeshDegrees& degrees, std::int64_t micro) {
    const ParallelSection& own = job_.parallel;
    Layout l{.degrees = degrees,
             .micro = micro,
             .num_micro = job_.batch.global / degrees.data / micro,
             .bucket_mb = own.bucket_mb,
             .algorithm = job_.collectives.algorithm,
             .compression = job_.collectives.compression};
    for (const bool sequence : {false, true}) {
      if (sequence && (degrees.tensor == 1 || job_.model.sequence % degrees.tensor != 0)) continue;
      l.sequence_parallel = sequence;
      for (const char* recompute : {"none", "selective", "full"}) {
        if (!model_.recomputes && std::string_view(recompute) != "none") continue;
        l.recompute = recompute;
        for (const int zero : {0, 1, 2, 3}) {
          if (zero > 0 && (degrees.data == 1 || job_.collectives.compression != "none")) continue;
          l.zero = zero;
          add_schedules(l);
        }
      }
    }
  }

  void add_schedules(Layout l) {
    const int P = l.degrees.pipeline;
    if (P == 1) {
      const bool priced = l.degrees.tensor == 1 && l.zero == job_.parallel.zero &&
                          l.recompute == job_.parallel.recompute;
      if (!priced && may_run(l)) plan_.layouts.push_back(prices_.of(l));
      return;
    }
    for (const ScheduleKind* kind : schedule_kinds()) {
      l.schedule = kind->name;
      if (l.zero > 1 && kind->defers) {
        ++plan_.left_out[l.schedule +
                         " computes weight gradients later than parallel.zero > 1 allows"];
        continue;
      }
      for (int chunks = 1; chunks * P <= job_.model.layers && chunks <= kMostChunks; ++chunks) {
        const PipelineShape shape{P, static_cast<int>(l.num_micro), chunks};
        if (!kind->refusal(shape).empty()) {
          ++plan_.left_out[l.schedule + " cannot serve the chunks or micro-batches"];
          continue;
        }
        l.chunks = chunks;
        if (may_run(l)) plan_.layouts.push_back(prices_.of(l));
      }
    }
  }

  // Of at most two micro-batches: the last, and one before it.
  void add_recording(Layout layout) {
    layout.algorithm = job_.collectives.algorithm;
    const std::int64_t recorded = std::min<std::int64_t>(layout.num_micro, 2);
    JobConfig job = with_layout(job_, layout);
    job.batch.global = layout.micro * recorded * layout.degrees.data;
    const auto record = record_step(job, ranks_, machine_, options_);
    ++plan_.recordings;
    gradients_mb_ = 4e-6 * static_cast<double>(record->parameters);
    const ShortStep step(*record, times_);
    for (const std::string& algorithm : algorithms_for(step)) {
      layout.algorithm = algorithm;
      add(layout, step, static_cast<double>(record->memory.peak));
    }
  }

  // Those that the job leaves open.
  std::vector<std::string> algorithms_for(const ShortStep& step) const {
    const std::string& asked = job_.collectives.algorithm;
    const bool theirs = options_.backend == "mpi" || options_.backend == "nccl";
    if (asked != "auto" || theirs) return {asked};
    std::vector<std::string> all = {"auto"};
    for (const std::string& name : step.algorithms())
      all.push_back(name);
    return all;
  }

  void add(const Layout& layout, const ShortStep& step, double memory) {
    const ShortStep::Times t = step.replayed(layout.algorithm, slowdowns_of(machine_));
    const double more =
        static_cast<double>(std::max<std::int64_t>(layout.num_micro - 2, 0)) * step.micro_seconds();
    PricedLayout priced{.layout = layout, .memory_bytes = memory};
    if (!refuse_too_large(priced, machine_)) {
      priced.seconds = t.end + more;
      priced.compute = t.compute + more;
      priced.exposed = t.exposed;
      priced.waiting = t.waiting;
      priced.hidden = t.hidden;
      priced.overlap_loss = t.computing - t.compute;
    }
    plan_.layouts.push_back(std::move(priced));
  }

  void rank() {
    // Of equally fast layouts the one that was listed first stays first: "auto", small buckets.
    std::stable_sort(plan_.layouts.begin(), plan_.layouts.end(),
                     [](const PricedLayout& a, const PricedLayout& b) {
                       if (a.fits != b.fits) return a.fits;
                       return a.fits ? a.seconds < b.seconds : a.memory_bytes < b.memory_bytes;
                     });
    const PricedLayout& best = plan_.layouts.front();
    for (PricedLayout& p : plan_.layouts) {
      if (!p.fits) continue;
      ++plan_.num_fitting;
      p.reason = reason_of(p, best);
    }
  }

  static std::string reason_of(const PricedLayout& p, const PricedLayout& best) {
    if (&p == &best) return "the fastest";
    const double more = p.seconds - best.seconds;
    if (more <= 1e-9 * best.seconds) return "as fast as the best";
    const struct {
      const char* what;
      double seconds;
    } causes[] = {{"computing", p.compute - best.compute},
                  {"communication that nothing hides", p.exposed - best.exposed},
                  {"waiting for the last rank", p.waiting - best.waiting},
                  {"the pipeline's bubble", p.bubble - best.bubble},
                  {"computing beside communication", p.overlap_loss - best.overlap_loss}};
    const auto* worst =
        std::max_element(std::begin(causes), std::end(causes),
                         [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
    return format("%.1f %% slower: %.2f ms more of %s", 100 * more / best.seconds,
                  1e3 * worst->seconds, worst->what);
  }

  const JobConfig& job_;
  int ranks_;
  const Machine& machine_;
  const PlanChoices& choices_;
  KeptKeys kept_;
  const ModelKind& model_;
  const Software& software_;
  CommunicatorOptions options_;
  OperationTimes times_;
  PlanPrices prices_;
  double gradients_mb_ = 0;  // known after the first recording
  Plan plan_;
};

}  // namespace

std::vector<MeshDegrees> degrees_for(int ranks) {
  std::vector<MeshDegrees> all;
  for (const std::int64_t tensor : divisors_of(ranks)) {
    for (const std::int64_t pipeline : divisors_of(ranks / tensor)) {
      const MeshDegrees d{.data = static_cast<int>(ranks / tensor / pipeline),
                          .tensor = static_cast<int>(tensor),
                          .pipeline = static_cast<int>(pipeline)};
      all.push_back(d);
    }
  }
  return all;
}

Plan plan(const JobConfig& job, int ranks, const Machine& machine, const PlanChoices& choices) {
  return Planner(job, ranks, machine, choices).run();
}

}  // namespace lockstep
