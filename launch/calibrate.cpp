// SPDX-License-Identifier: Apache-2.0
// `lockstep calibrate`: measures the machine that its ranks run on and writes the profile that
// `predict`, `plan` and `explain` read, a summary, and a plot of measurement against fit.
#include "perfmodels/calibrate/calibrate.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "launch/calibrate_report.hpp"
#include "launch/command.hpp"
#include "launch/device_of_job.hpp"
#include "launch/job.hpp"
#include "launch/number_checks.hpp"
#include "perfmodels/calibrate/pictures.hpp"
#include "perfmodels/machine/profile.hpp"
#include "runtime/base/file.hpp"
#include "runtime/context/binding.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

struct CalibrateOptions {
  std::string output = "machine.toml";
  std::string device = "auto";
  double seconds = 0;  // 0: as many as the extent asks for
  bool quick = false, json = false;
};

Extent extent_of(const CalibrateOptions& options) {
  Extent extent = options.quick ? quick_extent() : Extent{};
  if (options.seconds > 0) extent.seconds = options.seconds;
  return extent;
}

// Before a minute of measuring, not after it.
void expect_writable(const std::string& path) {
  const std::filesystem::path file(path);
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  const bool is_folder = std::filesystem::is_directory(file);
  if (!is_folder && access(folder.c_str(), W_OK) == 0) return;
  throw ConfigError("-o '" + path + "' cannot be written (" +
                    std::strerror(is_folder ? EISDIR : errno) +
                    "): name a file in a folder that can be written");
}

// Messages beside the profile; what a rank computes where there are no messages.
struct Picture {
  std::string path;
  Drawn drawn = Drawn::no_gnuplot;
};
Picture draw_beside(const std::string& profile, const Machine& machine) {
  Picture picture{std::filesystem::path(profile).replace_extension(".svg").string()};
  const Plot plot = machine.links.empty() ? picture_of_compute(machine.compute.front())
                                          : picture_of_messages(machine);
  picture.drawn = draw(plot, picture.path);
  return picture;
}

// Of the device that a job with this job.device would compute on; ranks may share a GPU where one
// is asked for. Collective.
Calibration measured(const Context& context, const CalibrateOptions& options, int threads) {
  JobConfig job;
  job.job.device = options.device;
  if (options.device == "cuda") job.job.ranks_per_gpu = context.size();
  const DeviceOfJob found = make_device(context, job);
  if (found.description.empty()) return calibrate(context, extent_of(options), threads);
  log_info("each rank measures a GPU, rank 0 " + found.description);
  const double memory = static_cast<double>(found.gpu.memory_bytes) / found.sharing;
  return calibrate(context, on_gpus(extent_of(options), memory), threads,
                   {.device = *found.device,
                    .name = found.gpu.name,
                    .memory_bytes = memory,
                    .bfloat16 = has_bfloat16(found.gpu)});
}

int run(const Context& context, const CalibrateOptions& options) {
  context.together([&] {
    if (context.first()) expect_writable(options.output);
  });
  const int threads = set_threads(0, bind_to_cores(context, Topology()));
  if (context.size() == 1) {
    log_info("one rank measures what it computes; links and collectives need more: mpirun -np 2");
  }
  const Calibration found = measured(context, options, threads);
  if (!context.first()) return 0;
  write_file(options.output, to_toml(found.machine));
  const Picture picture = draw_beside(options.output, found.machine);
  if (options.json) {
    const std::string svg = picture.drawn == Drawn::yes ? picture.path : "";
    std::fputs(calibration_json(found, options.output, svg).c_str(), stdout);
    return 0;
  }
  std::fputs(calibration_text(found).c_str(), stdout);
  std::printf("the profile is in %s; %s\n", options.output.c_str(),
              told(picture.drawn, picture.path).c_str());
  return 0;
}

}  // namespace

CommandAction prepare_calibrate(CLI::App& app) {
  auto options = std::make_shared<CalibrateOptions>();
  app.add_option("-o,--output", options->output, "The profile; the plot stands beside it, as .svg")
      ->capture_default_str();
  app.add_option("--device", options->device,
                 "What computes: auto (GPUs where each rank has one), cpu, cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_flag("--quick", options->quick,
               "Under 15 s: fewer shapes, sizes and collectives, wider intervals");
  app.add_option("--seconds", options->seconds,
                 "To measure for, about; default: 60, with --quick 10. Too few are exceeded")
      ->check(positive());
  app.add_flag("--json", options->json, "Write the summary as JSON");
  app.footer(
      "Run it as jobs will run: under mpirun or srun, as many ranks on each node, on two\n"
      "nodes or more if jobs use more than one. Alone it measures one rank's computing.");
  return
      [options] { return run_job([&](const Context& context) { return run(context, *options); }); };
}

}  // namespace lockstep
