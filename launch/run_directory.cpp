// SPDX-License-Identifier: Apache-2.0
#include "launch/run_directory.hpp"

#include <filesystem>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/mapped_file.hpp"

namespace lockstep {

namespace fs = std::filesystem;

namespace {

// Directories and files that were made, taken away again unless they are kept: a failed start
// leaves nothing.
class Made {
 public:
  Made() = default;
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;
  ~Made() {
    std::error_code ignored;
    for (auto path = paths_.rbegin(); path != paths_.rend(); ++path)
      fs::remove(*path, ignored);
  }
  void add(fs::path path) { paths_.push_back(std::move(path)); }
  void keep() { paths_.clear(); }

 private:
  std::vector<fs::path> paths_;
};

// False if it is there already.
bool make_directory(const fs::path& dir, Made& made) {
  std::error_code error;
  if (fs::create_directory(dir, error)) {
    made.add(dir);
    return true;
  }
  if (!error && fs::is_directory(dir, error)) return false;
  throw ConfigError("job.run_dir: cannot make " + dir.string() + ": " +
                    (error ? error.message() : "a file has that name") +
                    "; name a directory that can be written");
}

void make_parents(const fs::path& dir, Made& made) {
  fs::path parent;
  for (const fs::path& part : dir.parent_path()) {
    parent /= part;
    std::error_code error;
    if (!fs::is_directory(parent, error)) make_directory(parent, made);
  }
}

// runs/NAME, runs/NAME-2, ...: the first that nobody else has made.
fs::path make_next_free(const fs::path& base, Made& made) {
  fs::path dir = base;
  for (int i = 2; !make_directory(dir, made); ++i)
    dir = base.string() + "-" + std::to_string(i);
  return dir;
}

// Fails if the file exists: of two runs that start in one directory, one is told.
void write_new_file(const fs::path& path, const std::string& text, Made& made) {
  const FileHandle file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (file.get() < 0 && errno == EEXIST) {
    throw ConfigError("job.run_dir = \"" + path.parent_path().string() +
                      "\" already holds a run; name another directory or remove that one");
  }
  if (file.get() < 0) throw_errno("cannot make " + path.string());
  made.add(path);
  write_all(file, text, path.string());
}

}  // namespace

namespace {

fs::path directory_of(const JobConfig& job) {
  const bool chosen = !job.job.run_dir.empty();
  const fs::path dir = chosen ? fs::path(job.job.run_dir) : fs::path("runs") / job.job.name;
  return dir.has_filename() ? dir : dir.parent_path();  // "here/" is "here"
}

}  // namespace

std::string make_run_directory(const JobConfig& job) {
  const bool chosen = !job.job.run_dir.empty();
  fs::path dir = directory_of(job);
  Made made;
  make_parents(dir, made);
  if (chosen) {
    make_directory(dir, made);
  } else {
    dir = make_next_free(dir, made);
  }
  write_new_file(dir / "job.toml", to_toml(job), made);
  made.keep();
  return dir.string();
}

std::string find_run_directory(const JobConfig& job) {
  const fs::path dir = directory_of(job);
  Made made;
  make_parents(dir, made);
  make_directory(dir, made);
  made.keep();
  return dir.string();
}

void expect_goes_on(const std::string& run_dir) {
  const fs::path summary = fs::path(run_dir) / "summary.json",
                 saved = fs::path(run_dir) / "checkpoints";
  std::error_code ignored;
  if (!fs::exists(summary, ignored)) return;
  if (fs::exists(saved, ignored) && !fs::is_empty(saved, ignored)) return;
  const auto json = nlohmann::json::parse(read_text(summary.string()), nullptr, false);
  if (!json.is_object() || !json.contains("finished") || json["finished"] != true) return;
  throw ConfigError("job.run_dir = \"" + run_dir +
                    "\" holds a run that came to its end and has no checkpoint to go on from; name "
                    "another directory");
}

void write_job(const std::string& run_dir, const JobConfig& job) {
  write_file(run_dir + "/job.toml", to_toml(job));
}

}  // namespace lockstep
