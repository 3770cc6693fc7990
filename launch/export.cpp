// SPDX-License-Identifier: Apache-2.0
// `lockstep export JOB.toml --chakra PREFIX`: the recorded step as MLCommons Chakra execution
// traces, one file per rank (PREFIX.0.et, PREFIX.1.et, ...), for other simulators.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "launch/command.hpp"
#include "launch/job.hpp"
#include "launch/prediction.hpp"
#include "launch/prediction_options.hpp"
#include "perfmodels/chakra/execution_trace.hpp"
#include "perfmodels/record_step.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

struct ExportOptions : PredictionOptions {
  std::string prefix;
};

int export_traces(const ExportOptions& options) {
  if (rank_from_launcher() != 0) return 0;
  const JobConfig job = job_of(options);
  const int ranks = ranks_of(job, options.ranks, 1);
  // All ranks of a data-parallel job launch the same.
  const auto step = record_step(job, ranks);
  std::size_t nodes = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const chakra::ExecutionTrace trace = chakra::trace_of(step->recording, rank);
    nodes = trace.nodes.size();
    const std::string path = options.prefix + format(".%d.%s", rank, options.json ? "json" : "et");
    write_file(path, options.json ? to_json(trace) : to_protobuf(trace));
  }
  print_once(format("%d trace%s of %zu nodes: %s.0.%s%s\n", ranks, ranks == 1 ? "" : "s", nodes,
                    options.prefix.c_str(), options.json ? "json" : "et",
                    ranks == 1 ? "" : " and on"));
  return 0;
}

}  // namespace

CommandAction prepare_export(CLI::App& app) {
  auto options = std::make_shared<ExportOptions>();
  add_job_options(app, *options);
  add_ranks_option(app, *options);
  app.add_option("--chakra", options->prefix, "Files to write: PREFIX.RANK.et")->required();
  app.add_flag("--json", options->json, "As JSON (PREFIX.RANK.json) and not as protobuf");
  return [options] { return export_traces(*options); };
}

}  // namespace lockstep
