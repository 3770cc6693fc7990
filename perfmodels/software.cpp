// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/software.hpp"

#include <algorithm>
#include <iterator>

#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/optim/table.hpp"

namespace lockstep {

namespace {

constexpr Software kSoftware[] = {
    {.name = "lockstep"},
    {.name = "megatron-2021", .others = true, .korthikanti = false},
    {.name = "megatron-2022", .others = true},
};
constexpr double kAllGradientsMb = 1e6;

}  // namespace

const Software& find_software(const std::string& name) {
  const auto* found = std::find_if(std::begin(kSoftware), std::end(kSoftware),
                                   [&](const Software& s) { return name == s.name; });
  expect(found != std::end(kSoftware), "software that the table does not have");
  return *found;
}

std::string refusal(const Software& s, const Layout& l, std::int64_t blocks) {
  if (!s.others) return "";
  const std::string name = s.name;
  const int P = l.degrees.pipeline;
  if (l.zero > 0) return name + " has no parallel.zero: 0 would do";
  if (!s.korthikanti && l.sequence_parallel) return name + " has no parallel.sequence_parallel";
  if (!s.korthikanti && l.recompute == "selective")
    return name + " has no selective parallel.recompute: none or full would do";
  if (P == 1) return "";
  if (l.schedule != "1f1b" && l.schedule != "interleaved")
    return name + " has no parallel.schedule " + l.schedule + ": 1f1b or interleaved would do";
  if (l.schedule == "interleaved" && P <= 2)
    return name + " interleaves on more than 2 stages only";
  if (blocks % (std::int64_t{P} * l.chunks) != 0)
    return name + " needs as many blocks in each chunk of each stage";
  return "";
}

void expect_runnable(const JobConfig& job, const MeshDegrees& degrees) {
  const std::string why =
      refusal(find_software(job.job.software), layout_of(job, degrees), job.model.layers);
  if (!why.empty()) throw ConfigError("job.software: " + why);
}

DryPolicy policy_of(const JobConfig& job) {
  const Software& s = find_software(job.job.software);
  return {.mixed = job.job.precision == "bfloat16",
          .separate = s.others,
          .drops = job.model.dropout > 0,
          .optimizer_states = find_optimizer_kind(job.optimizer.kind).states};
}

MessageKind messages_of(const JobConfig& job) {
  if (!find_software(job.job.software).others) return {};
  return {.awaited = true, .parts = job.parallel.sequence_parallel ? 1 : job.parallel.tensor};
}

JobConfig as_its_software_sums(JobConfig job, const MeshDegrees& degrees) {
  const bool at_once = find_software(job.job.software).others && degrees.pipeline > 1;
  if (at_once) job.parallel.bucket_mb = kAllGradientsMb;
  return job;
}

}  // namespace lockstep
