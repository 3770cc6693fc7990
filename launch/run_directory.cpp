// SPDX-License-Identifier: Apache-2.0
#include "launch/run_directory.hpp"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace fs = std::filesystem;

namespace {

bool holds_a_run(const fs::path& dir) {
  return fs::exists(dir / "job.toml");
}

fs::path choose(const JobConfig& job) {
  if (!job.job.run_dir.empty()) {
    if (holds_a_run(job.job.run_dir)) {
      throw ConfigError("job.run_dir = \"" + job.job.run_dir +
                        "\" already holds a run; name another directory or remove that one");
    }
    return job.job.run_dir;
  }
  const fs::path base = fs::path("runs") / job.job.name;
  fs::path dir = base;
  for (int i = 2; fs::exists(dir); ++i)
    dir = base.string() + "-" + std::to_string(i);
  return dir;
}

// Removes what it was told to unless it is kept: a failed start leaves nothing.
class Cleanup {
 public:
  explicit Cleanup(fs::path path) : path_(std::move(path)) {}
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  ~Cleanup() {
    std::error_code ignored;
    if (!kept_) fs::remove(path_, ignored);
  }
  void keep() { kept_ = true; }

 private:
  fs::path path_;
  bool kept_ = false;
};

}  // namespace

std::string make_run_directory(const JobConfig& job) {
  const fs::path dir = choose(job);
  std::error_code error;
  const bool made = fs::create_directories(dir, error);
  if (error) {
    throw ConfigError("job.run_dir: cannot make " + dir.string() + ": " + error.message() +
                      "; name a directory that can be written");
  }
  Cleanup directory(dir), file(dir / "job.toml");
  if (!made) directory.keep();
  std::ofstream out(dir / "job.toml");
  out << to_toml(job) << std::flush;
  if (!out) {
    throw SystemError("cannot write " + (dir / "job.toml").string() +
                      ": is the disk full? Free some space or set job.run_dir");
  }
  file.keep();
  directory.keep();
  return dir.string();
}

}  // namespace lockstep
