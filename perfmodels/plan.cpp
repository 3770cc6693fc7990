// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan.hpp"

#include <algorithm>
#include <iterator>

#include "perfmodels/plan_step.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr double kGiB = 1 << 30;

// What this version can run: it cuts the batch, not yet the model (parallelism/hybrid).
bool can_run(const MeshDegrees& d) {
  return d.tensor == 1 && d.pipeline == 1;
}

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

class Planner {
 public:
  Planner(const JobConfig& job, int ranks, const Machine& machine, const PlanChoices& choices)
      : job_(job),
        ranks_(ranks),
        machine_(machine),
        choices_(choices),
        options_(options_on(machine, job, ranks)),
        times_(machine) {}

  Plan run() {
    const double begin = now();
    for (const MeshDegrees& degrees : degrees_for(ranks_)) {
      if (job_.batch.global % degrees.data != 0) continue;
      for (const std::int64_t micro : divisors_of(job_.batch.global / degrees.data))
        add_micro_batch(degrees, micro);
    }
    if (plan_.layouts.empty()) {
      throw ConfigError(
          format("no layout of %d ranks is valid: batch.global = %lld is not a multiple "
                 "of parallel.data = %d",
                 ranks_, static_cast<long long>(job_.batch.global), ranks_));
    }
    rank();
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
    for (const std::string& compression : compressions) {
      layout.compression = compression;
      if (alone) {
        add_recording(layout);
        continue;
      }
      for (const double size : buckets_of(job_, choices_)) {
        layout.bucket_mb = size;
        add_recording(layout);
        if (size >= gradients_mb_) break;  // one bucket holds all: larger ones are the same
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
    const CollectivesSection& asked = job_.collectives;
    if (asked.algorithm != "auto" || asked.backend == "mpi") return {asked.algorithm};
    std::vector<std::string> all = {"auto"};
    for (const std::string& name : step.algorithms())
      all.push_back(name);
    return all;
  }

  void add(const Layout& layout, const ShortStep& step, double memory) {
    const ShortStep::Times t = step.replayed(layout.algorithm, slowdowns_of(machine_));
    const double more =
        static_cast<double>(std::max<std::int64_t>(layout.num_micro - 2, 0)) * step.micro_seconds();
    PricedLayout priced{.layout = layout,
                        .seconds = t.end + more,
                        .compute = t.compute + more,
                        .exposed = t.exposed,
                        .hidden = t.hidden,
                        .overlap_loss = t.computing - t.compute,
                        .memory_bytes = memory};
    if (machine_.memory_bytes > 0 && memory > machine_.memory_bytes) {
      priced.fits = false;
      priced.reason = format("needs %.1f GiB of tensors, a device has %.1f GiB", memory / kGiB,
                             machine_.memory_bytes / kGiB);
    }
    plan_.layouts.push_back(std::move(priced));
  }

  void rank() {
    // Of equally fast layouts the one that was listed first stays first: "auto", small buckets.
    std::stable_sort(plan_.layouts.begin(), plan_.layouts.end(),
                     [](const PricedLayout& a, const PricedLayout& b) {
                       return a.fits != b.fits ? a.fits : a.seconds < b.seconds;
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
  CommunicatorOptions options_;
  OperationTimes times_;
  double gradients_mb_ = 0;  // known after the first recording
  Plan plan_;
};

}  // namespace

std::string text_of(const Layout& l) {
  std::string text = format("data %d", l.degrees.data);
  if (l.degrees.tensor > 1) text += format(", tensor %d", l.degrees.tensor);
  if (l.degrees.pipeline > 1) text += format(", pipeline %d", l.degrees.pipeline);
  text += format(", micro-batch %lld x %lld", static_cast<long long>(l.micro),
                 static_cast<long long>(l.num_micro));
  if (l.degrees.data > 1) {
    text += format(", buckets of %g MB, %s", l.bucket_mb, l.algorithm.c_str());
    if (l.compression != "none") text += ", " + l.compression;
  }
  return text;
}

JobConfig with_layout(JobConfig job, const Layout& layout) {
  job.parallel.data = layout.degrees.data;
  job.parallel.tensor = layout.degrees.tensor;
  job.parallel.pipeline = layout.degrees.pipeline;
  job.parallel.bucket_mb = layout.bucket_mb;
  job.batch.micro = layout.micro;
  job.collectives.compression = layout.compression;
  job.collectives.algorithm = layout.algorithm;
  return job;
}

std::vector<MeshDegrees> degrees_for(int ranks) {
  std::vector<MeshDegrees> all;
  for (const std::int64_t tensor : divisors_of(ranks)) {
    for (const std::int64_t pipeline : divisors_of(ranks / tensor)) {
      const MeshDegrees d{.data = static_cast<int>(ranks / tensor / pipeline),
                          .tensor = static_cast<int>(tensor),
                          .pipeline = static_cast<int>(pipeline)};
      if (can_run(d)) all.push_back(d);
    }
  }
  return all;
}

Plan plan(const JobConfig& job, int ranks, const Machine& machine, const PlanChoices& choices) {
  return Planner(job, ranks, machine, choices).run();
}

}  // namespace lockstep
