// SPDX-License-Identifier: Apache-2.0
#include "slurm/site.hpp"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "runtime/base/error.hpp"

namespace lockstep::slurm {

namespace fs = std::filesystem;

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string existing(const std::string& path, const std::string& who) {
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return path;
  throw ConfigError(who + " names " + path + ", which is not a file");
}

}  // namespace

std::string find_site(const std::string& given, const std::string& job_file) {
  if (!given.empty()) return existing(given, "--site");
  const std::string site = variable("LOCKSTEP_SITE"), home = variable("HOME");
  if (!site.empty()) return existing(site, "LOCKSTEP_SITE");
  std::vector<fs::path> places = {fs::path(job_file).parent_path() / "site.toml"};
  if (!home.empty()) places.push_back(fs::path(home) / ".config/lockstep/site.toml");
  places.emplace_back("/etc/lockstep/site.toml");
  for (const fs::path& place : places) {
    std::error_code ignored;
    if (fs::is_regular_file(place, ignored)) return place.string();
  }
  return "";
}

}  // namespace lockstep::slurm
