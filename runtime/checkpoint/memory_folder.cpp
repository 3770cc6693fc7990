// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/memory_folder.hpp"

#include <ctime>
#include <filesystem>

#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/mapped_file.hpp"
#include "runtime/base/process.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kNameFile = "/memory.json";
constexpr const char* kRunFile = "/run";
constexpr std::string_view kBegin = "lockstep-";

std::string end_of_names() {
  return "@" + host_name();
}

bool is_name(const std::string& name) {
  return name.starts_with(kBegin) && name.find('/') == std::string::npos;
}

bool is_mine(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid();
}

std::string run_of(const fs::path& folder) {
  try {
    return read_text(folder.string() + kRunFile);
  } catch (const ConfigError&) {
    return "";
  }
}

std::uint64_t bytes_below(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored)) bytes += at->file_size(ignored);
  }
  return bytes;
}

}  // namespace

std::string memory_name_of(const std::string& run_dir) {
  std::error_code ignored;
  if (!fs::exists(run_dir + kNameFile, ignored)) return "";
  const Json json = Json::parse(read_text(run_dir + kNameFile), nullptr, false);
  if (!json.is_object() || !json.contains("copies") || !json["copies"].is_string()) return "";
  const auto name = json["copies"].get<std::string>();
  return is_name(name) ? name : "";
}

std::string new_memory_name(const std::string& run_dir) {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return std::string(kBegin) + fs::path(run_dir).filename().string() +
         format("-%s-%d-%llx.%lx", host_name().c_str(), static_cast<int>(getpid()),
                static_cast<unsigned long long>(t.tv_sec), static_cast<unsigned long>(t.tv_nsec));
}

void write_memory_name(const std::string& run_dir, const std::string& name) {
  write_file(run_dir + kNameFile, Json{{"copies", name}}.dump() + "\n");
}

void unlink_memory_name(const std::string& run_dir) {
  std::error_code ignored;
  fs::remove(run_dir + kNameFile, ignored);
}

std::string memory_folder(const std::string& place, const std::string& name) {
  return place + "/" + name + end_of_names();
}

void make_memory_folder(const std::string& folder, const std::string& run_dir) {
  std::error_code error;
  if (fs::exists(folder, error)) return;
  const fs::path path(folder);
  const fs::path draft = path.parent_path() / ("." + path.filename().string());
  fs::create_directory(draft, error);
  if (error) {
    throw ConfigError("checkpoint.memory_path: cannot make " + draft.string() + ": " +
                      error.message() + "; name a directory in memory that every node has");
  }
  fs::permissions(draft, fs::perms::owner_all);
  write_file(draft.string() + kRunFile, fs::absolute(run_dir).string());
  fs::rename(draft, folder, error);
  if (error) throw SystemError("cannot rename " + draft.string() + ": " + error.message());
}

void sweep_memory(const std::string& place) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(place, error)) {
    const std::string file = entry.path().filename().string(), end = end_of_names();
    if (!file.starts_with(kBegin) || !file.ends_with(end) || !is_mine(entry.path())) continue;
    const std::string name = file.substr(0, file.size() - end.size());
    const std::string run = run_of(entry.path());
    if (!run.empty() && memory_name_of(run) == name) continue;
    const std::uint64_t bytes = bytes_below(entry.path());
    fs::remove_all(entry.path(), error);
    log_warning(format("%s (%.1f MB) was left in memory by %s: taken away", entry.path().c_str(),
                       1e-6 * static_cast<double>(bytes), run.empty() ? "a run" : run.c_str()));
  }
}

}  // namespace lockstep
