// SPDX-License-Identifier: Apache-2.0
#include "slurm/submission.hpp"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>

#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/process.hpp"
#include "slurm/cluster.hpp"
#include "slurm/command.hpp"
#include "slurm/request.hpp"
#include "slurm/shell.hpp"

namespace lockstep::slurm {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void expect_slurm() {
  if (!find_command("sbatch").empty()) return;
  throw ConfigError(
      "Slurm is not installed here: there is no sbatch in PATH; submit on a login node of the "
      "cluster, "
      "or write the script alone with --dry-run");
}

void make_directory(const std::string& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (!error && fs::is_directory(dir)) return;
  throw ConfigError("job.run_dir: cannot make " + dir + ": " +
                    (error ? error.message() : "a file has that name"));
}

// Two that submit at once: the second is told.
FileHandle lock(const std::string& dir) {
  FileHandle file = open_file(dir + "/submit.lock", O_WRONLY | O_CREAT);
  if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  throw ConfigError(dir + ": another lockstep submit is at work there");
}

// What squeue knows of these jobs, as "123 RUNNING"; empty if none is in the queue.
std::string live_jobs(const std::vector<std::string>& ids) {
  std::string list;
  for (const std::string& id : ids)
    list += (list.empty() ? "" : ",") + id;
  const CommandResult answer =
      run_command({"squeue", "--noheader", "--format=%i %T", "--jobs=" + list});
  if (answer.status == 0) return one_line(answer.out);
  if (answer.error.find("Invalid job id") != std::string::npos) return "";
  throw SystemError("cannot learn whether job " + ids.back() + " is still in the queue (" +
                    one_line(answer.error) + "); nothing is submitted");
}

void expect_no_live_job(const std::string& dir) {
  const std::vector<std::string> ids = submitted_ids(read_text(fs::path(dir) / kSubmissions));
  if (ids.empty() || find_command("squeue").empty()) return;
  const std::string live = live_jobs(ids);
  if (live.empty()) return;
  throw ConfigError(dir + " has a job in the queue: " + live +
                    "; wait for it, cancel it (scancel), or name another job.run_dir");
}

void expect_unused(const std::string& dir, Existing existing) {
  if (existing == Existing::go_on || !fs::exists(fs::path(dir) / "job.toml")) return;
  throw ConfigError("job.run_dir = \"" + dir +
                    "\" already holds a run; continue it with --resume, or name another directory");
}

std::string submit_script(const std::string& script) {
  const CommandResult test = run_command({"sbatch", "--test-only", script});
  if (test.status != 0) {
    throw SystemError("Slurm refuses the job (sbatch --test-only): " + one_line(test.error) +
                      "; the script is " + script);
  }
  const CommandResult answer = run_command({"sbatch", "--parsable", script});
  if (answer.status != 0) {
    throw SystemError("sbatch: " + one_line(answer.error) + "; the script is " + script);
  }
  const std::string line = one_line(answer.out);  // id, or id;cluster
  return line.substr(0, line.find(';'));
}

void remember(const std::string& dir, const std::string& id) {
  const std::string path = dir + "/" + kSubmissions;
  const Json entry = {{"job_id", id}, {"seconds", static_cast<std::int64_t>(std::time(nullptr))}};
  write_all(open_file(path, O_WRONLY | O_CREAT | O_APPEND), entry.dump() + "\n", path);
}

std::string with_id(std::string pattern, const std::string& id) {
  std::string path;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      path += pattern[i];
    } else if (pattern[++i] == 'j' || pattern[i] == 'A') {
      path += id;
    } else {
      path += pattern[i] == 'a' ? '*' : pattern[i];
    }
  }
  return path;
}

}  // namespace

std::vector<std::string> submitted_ids(const std::string& lines) {
  std::vector<std::string> ids;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    const Json entry = Json::parse(line, nullptr, false);  // a torn last line is no entry
    if (entry.is_object() && entry.contains("job_id")) ids.push_back(entry["job_id"]);
  }
  return ids;
}

std::string mpi_type_of(const std::string& library) {
  return library.rfind("Open MPI", 0) == 0 ? "pmix" : "pmi2";
}

ScriptInputs inputs_of(JobConfig job, const std::string& program, const std::string& work_dir,
                       const std::string& library) {
  ScriptInputs in;
  in.run_dir = run_directory_of(job);
  job.job.run_dir = in.run_dir;
  in.work_dir = work_dir;
  in.program = job.slurm.program.empty() ? program : job.slurm.program;
  in.mpi_type = mpi_type_of(library);
  in.job = std::move(job);
  return in;
}

Submission submit(const ScriptInputs& in, const SubmitOptions& options) {
  check_request(in.job);
  expect_one_line("the working directory", in.work_dir);
  if (in.run_dir.find('\\') != std::string::npos) {
    throw ConfigError("job.run_dir = \"" + in.run_dir +
                      "\" holds a backslash, which Slurm does not take in names of output files");
  }
  if (options.action == Action::submit) {
    expect_slurm();
    check_cluster(in.job.slurm, ask_cluster());
  }
  make_directory(in.run_dir);
  const FileHandle held = lock(in.run_dir);
  expect_no_live_job(in.run_dir);
  expect_unused(in.run_dir, options.existing);
  const std::string script = in.run_dir + "/" + kScriptName;
  write_file(in.run_dir + "/" + kJobName, to_toml(in.job));
  write_file(script, batch_script(in));
  if (options.action == Action::write) return {"", script, output_pattern(in)};
  const std::string id = submit_script(script);
  remember(in.run_dir, id);
  return {id, script, with_id(output_pattern(in), id)};
}

}  // namespace lockstep::slurm
