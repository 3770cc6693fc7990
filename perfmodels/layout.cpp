// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/layout.hpp"

#include <algorithm>

#include "parallelism/pipeline/table.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

bool defers(const Layout& l) {
  const ScheduleKind* kind = find_schedule_kind(l.schedule);
  return l.degrees.pipeline > 1 && kind && kind->defers;
}

std::string text_of(const Layout& l) {
  std::string text = format("data %d", l.degrees.data);
  if (l.degrees.tensor > 1) text += format(", tensor %d", l.degrees.tensor);
  if (l.degrees.pipeline > 1) text += format(", pipeline %d", l.degrees.pipeline);
  if (l.degrees.pipeline > 1) text += ", " + l.schedule;
  if (l.chunks > 1) text += format(" of %d chunks", l.chunks);
  if (l.zero > 0) text += format(", ZeRO %d", l.zero);
  if (l.recompute != "none") text += ", " + l.recompute + " recomputation";
  if (l.sequence_parallel) text += ", sequence parallel";
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
  job.parallel.chunks = layout.chunks;
  job.parallel.schedule = layout.schedule;
  job.parallel.zero = layout.zero;
  job.parallel.recompute = layout.recompute;
  job.parallel.sequence_parallel = layout.sequence_parallel;
  job.batch.micro = layout.micro;
  job.collectives.compression = layout.compression;
  job.collectives.algorithm = layout.algorithm;
  return job;
}

Layout layout_of(const JobConfig& job, const MeshDegrees& degrees) {
  const ParallelSection& p = job.parallel;
  const std::int64_t of_rank =
      std::max<std::int64_t>(job.batch.global / std::max(degrees.data, 1), 1);
  const std::int64_t micro = job.batch.micro > 0 ? job.batch.micro : of_rank;
  return {.degrees = degrees,
          .micro = micro,
          .num_micro = of_rank / micro,  // exact where the batch can be split so
          .bucket_mb = p.bucket_mb,
          .algorithm = job.collectives.algorithm,
          .compression = job.collectives.compression,
          .chunks = p.chunks,
          .zero = p.zero,
          .schedule = p.schedule,
          .recompute = p.recompute,
          .sequence_parallel = p.sequence_parallel};
}

}  // namespace lockstep
