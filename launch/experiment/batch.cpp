// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/batch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <thread>

#include <fcntl.h>

#include "launch/experiment/measure.hpp"
#include "launch/experiment/process.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"
#include "runtime/context/mpi.hpp"
#include "runtime/context/signals.hpp"
#include "slurm/command.hpp"
#include "slurm/request.hpp"
#include "slurm/shell.hpp"
#include "slurm/submission.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

constexpr int kAskSeconds = 5;  // between two questions to the controller
constexpr std::size_t kKeptLines = 20;

std::vector<std::string> ids_in(const std::string& run_dir) {
  std::ifstream file(run_dir + "/" + slurm::kSubmissions);
  return slurm::submitted_ids({std::istreambuf_iterator<char>(file), {}});
}

slurm::ScriptInputs inputs_for(JobConfig job, const ExperimentRun& run, int ranks) {
  const int per_node = std::min(ranks, run.launch.ranks_per_node);
  if (ranks % per_node != 0) {
    throw ConfigError(format("%d ranks do not fill nodes of %d; change experiment.ranks_per_node",
                             ranks, per_node));
  }
  job.slurm.nodes = ranks / per_node;
  job.slurm.ranks_per_node = per_node;
  return slurm::inputs_of(std::move(job), run.launch.lockstep, fs::current_path().string(),
                          mpi_library());
}

// Those of `ids` that are still in the queue.
std::set<std::string> alive(const std::vector<std::string>& ids) {
  std::string list;
  for (const std::string& id : ids)
    list += (list.empty() ? "" : ",") + id;
  const slurm::CommandResult answer =
      slurm::run_command({"squeue", "--noheader", "--format=%i", "--jobs=" + list});
  if (answer.status != 0) {
    if (answer.error.find("Invalid job id") != std::string::npos) return {};
    throw SystemError("squeue: " + slurm::one_line(answer.error));
  }
  std::istringstream words(answer.out);
  return {std::istream_iterator<std::string>(words), {}};
}

// The newest text that a job of this directory has written.
std::string output_in(const std::string& run_dir) {
  std::string newest;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run_dir, ignored)) {
    const bool text = entry.path().extension() == ".out";
    if (text && (newest.empty() || entry.last_write_time() > fs::last_write_time(newest)))
      newest = entry.path().string();
  }
  return newest;
}

// A script of its own: what the allocation is asked for, and one command in it.
std::string submit_command(const slurm::ScriptInputs& in, const std::string& dir,
                           const std::vector<std::string>& words) {
  const std::string script = dir + "/experiment.sbatch";
  write_file(script, "#!/bin/bash\n" + slurm::directives(in) + "set -eu\ncd " +
                         slurm::shell_word(in.work_dir) + "\nexec " + shell_text(words) + "\n");
  const slurm::CommandResult answer = slurm::run_command({"sbatch", "--parsable", script});
  if (answer.status != 0) {
    throw SystemError("sbatch: " + slurm::one_line(answer.error) + "; the script is " + script);
  }
  const std::string line = slurm::one_line(answer.out);
  const std::string id = line.substr(0, line.find(';'));
  const std::string path = dir + "/" + slurm::kSubmissions;
  write_all(open_file(path, O_WRONLY | O_CREAT | O_APPEND), "{\"job_id\": \"" + id + "\"}\n", path);
  return id;
}

class Jobs {
 public:
  Jobs(const ExperimentRun& run, ExperimentFolder& folder) : run_(run), folder_(folder) {}

  int run_all() {
    const SignalGuard signals;
    for (const PlannedRun& planned : missing_runs(run_, folder_)) {
      if (stop_requested()) break;
      waiting_.push_back({planned, submit(planned)});
    }
    while (!waiting_.empty() && !stop_requested()) {
      collect();
      wait();
    }
    if (!stop_requested()) return 0;
    std::printf("stopped by a signal; %zu jobs stay in the queue, the same command collects them\n",
                waiting_.size());
    return 128 + stop_signal();
  }

 private:
  struct Waiting {
    PlannedRun planned;
    std::string id;
  };

  const ExperimentPoint& point_of(const PlannedRun& planned) const {
    return run_.points[planned.point];
  }
  std::string directory_of(const PlannedRun& planned) const {
    return folder_.run_dir(file_name_of(point_of(planned), planned.repetition));
  }

  std::string submit(const PlannedRun& planned) {
    const ExperimentPoint& point = point_of(planned);
    const std::string dir = directory_of(planned);
    if (folder_.failed(point, planned.repetition)) fs::remove_all(dir);  // it is tried again
    const std::vector<std::string> ids = ids_in(dir);
    if (!ids.empty()) return ids.back();
    JobConfig job = point.job;
    job.job.run_dir = dir;
    job.job.name = file_name_of(point, planned.repetition);
    const auto made = slurm::submit(inputs_for(std::move(job), run_, point.ranks), {});
    std::printf("job %s: %s, repetition %d\n", made.job_id.c_str(), point.name.c_str(),
                planned.repetition);
    std::fflush(stdout);
    return made.job_id;
  }

  void collect() {
    std::vector<std::string> ids;
    for (const Waiting& one : waiting_)
      ids.push_back(one.id);
    const std::set<std::string> live = alive(ids);
    for (auto one = waiting_.begin(); one != waiting_.end();) {
      if (live.count(one->id)) {
        ++one;
        continue;
      }
      add(*one);
      one = waiting_.erase(one);
    }
  }

  void add(const Waiting& ended) {
    ResultRow row = new_row(run_, ended.planned);
    const std::string dir = directory_of(ended.planned);
    row.job.job.run_dir = dir;
    take_measurement(row, dir, run_.experiment.skip_steps);
    const RunFacts facts = load_run_facts(dir);
    row.wall_seconds = facts.train_seconds;
    if (!facts.host.empty()) row.host = facts.host;
    const bool whole = row.measured && (facts.target_seconds > 0 || facts.finished);
    if (!whole) fail(row, last_lines(output_in(dir), kKeptLines));
    folder_.add(row);
    std::printf("job %s: %s, repetition %d: %s, %zu jobs left\n", ended.id.c_str(),
                row.point.c_str(), row.repetition, row.status.c_str(), waiting_.size() - 1);
    std::fflush(stdout);
  }

  void wait() const {
    for (int i = 0; i < 10 * kAskSeconds && !waiting_.empty() && !stop_requested(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }

  const ExperimentRun& run_;
  ExperimentFolder& folder_;
  std::vector<Waiting> waiting_;
};

}  // namespace

int run_as_jobs(const ExperimentRun& run, ExperimentFolder& folder) {
  return Jobs(run, folder).run_all();
}

int run_in_one_job(const ExperimentRun& run, const std::string& dir,
                   const std::vector<std::string>& words) {
  const auto most = std::max_element(
      run.points.begin(), run.points.end(),
      [](const ExperimentPoint& a, const ExperimentPoint& b) { return a.ranks < b.ranks; });
  JobConfig job = most->job;
  job.job.name = run.experiment.name;
  job.job.run_dir = dir;
  const std::vector<std::string> ids = ids_in(dir);
  if (!ids.empty() && alive(ids).count(ids.back())) {
    std::printf("job %s runs this experiment already\n", ids.back().c_str());
    return 0;
  }
  const slurm::ScriptInputs in = inputs_for(std::move(job), run, most->ranks);
  const std::string id = submit_command(in, dir, words);
  std::printf("job %s runs the whole experiment; its output is %s/slurm-%s.out\n", id.c_str(),
              dir.c_str(), id.c_str());
  return 0;
}

}  // namespace lockstep
