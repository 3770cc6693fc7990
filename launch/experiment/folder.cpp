// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/folder.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "launch/build_facts.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

void expect_ours(const std::string& dir) {
  std::error_code ignored;
  if (!fs::exists(dir, ignored) || fs::is_empty(dir, ignored)) return;
  if (fs::is_directory(dir, ignored) && fs::exists(dir + "/experiment.toml", ignored)) return;
  throw ConfigError("experiment.dir = \"" + dir +
                    "\" holds something else than an experiment; name another directory");
}

void make_folders(const std::string& dir) {
  std::error_code error;
  for (const char* name : {"/jobs", "/runs", "/logs"}) {
    fs::create_directories(dir + name, error);
    if (error) {
      throw ConfigError("experiment.dir: cannot make " + dir + name + ": " + error.message());
    }
  }
}

// A process that died while it wrote leaves part of a line.
void cut_unfinished_line(const std::string& path, const FileHandle& file) {
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const std::size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
  if (whole < text.size() && ftruncate(file.get(), static_cast<off_t>(whole)) != 0)
    throw_errno("cannot cut " + path);
}

void expect_same_version(const std::vector<ResultRow>& rows, const std::string& path) {
  for (const ResultRow& row : rows) {
    if (row.version == build_facts().version) continue;
    throw ConfigError(path + " has results of lockstep " + row.version + ", this is lockstep " +
                      build_facts().version +
                      ": run the experiment in another directory (--dir); `lockstep report` still "
                      "shows the old one");
  }
}

}  // namespace

ExperimentFolder::ExperimentFolder(const std::string& dir, const std::string& experiment_text)
    : dir_(dir) {
  expect_ours(dir);
  make_folders(dir);
  const std::string path = dir + "/results.jsonl";
  results_ = open_file(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
  if (flock(results_.get(), LOCK_EX | LOCK_NB) != 0) {
    throw ConfigError("another lockstep experiment is at work in " + dir);
  }
  cut_unfinished_line(path, results_);
  rows_ = load_results(path);
  expect_same_version(rows_, path);
  write_file(dir + "/experiment.toml", experiment_text);
}

std::vector<ResultRow> ExperimentFolder::rows_of(const std::vector<ExperimentPoint>& points) const {
  std::vector<ResultRow> found;
  for (const ResultRow& row : rows_) {
    const bool ours = std::any_of(points.begin(), points.end(), [&](const ExperimentPoint& p) {
      return p.fingerprint == row.fingerprint;
    });
    if (ours) found.push_back(row);
  }
  return found;
}

bool ExperimentFolder::has(const ExperimentPoint& point, int repetition, bool retry) const {
  return std::any_of(rows_.begin(), rows_.end(), [&](const ResultRow& row) {
    return row.fingerprint == point.fingerprint && row.repetition == repetition &&
           !(retry && row.failed());
  });
}

bool ExperimentFolder::failed(const ExperimentPoint& point, int repetition) const {
  bool failed = false;
  for (const ResultRow& row : rows_) {
    if (row.fingerprint == point.fingerprint && row.repetition == repetition) failed = row.failed();
  }
  return failed;
}

void ExperimentFolder::add(const ResultRow& row) {
  write_all(results_, json_of(row) + "\n", dir_ + "/results.jsonl");
  rows_.push_back(row);
  write_file(dir_ + "/results.csv", csv_of(rows_));
}

}  // namespace lockstep
