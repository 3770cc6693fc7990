// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/fence.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <optional>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/mapped_file.hpp"
#include "runtime/base/process.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFile = "/life.json";

struct Life {
  std::int64_t life = 0, restart = 0;
  std::string job, owner;
};

std::string to_text(const Life& l) {
  return Json{{"life", l.life}, {"restart", l.restart}, {"job", l.job}, {"owner", l.owner}}.dump() +
         "\n";
}

std::string read(const std::string& run_dir) {
  return read_text(run_dir + kFile);
}

Life parse(const std::string& text, const std::string& run_dir) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto holds = [&](const char* key, auto is) { return json.contains(key) && is(json[key]); };
  const auto number = [](const Json& v) { return v.is_number_integer(); };
  const auto words = [](const Json& v) { return v.is_string(); };
  if (!json.is_object() || !holds("life", number) || !holds("restart", number) ||
      !holds("job", words) || !holds("owner", words)) {
    throw ConfigError(run_dir + kFile + ": does not say who owns the run; remove it to take over");
  }
  return {json["life"].get<std::int64_t>(), json["restart"].get<std::int64_t>(),
          json["job"].get<std::string>(), json["owner"].get<std::string>()};
}

std::optional<Life> present(const std::string& run_dir) {
  std::error_code ignored;
  if (!std::filesystem::exists(run_dir + kFile, ignored)) return std::nullopt;
  return parse(read(run_dir), run_dir);
}

// Different for every start on any machine.
std::string this_process() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return format("%s:%d:%lld.%09ld", host_name().c_str(), static_cast<int>(getpid()),
                static_cast<long long>(t.tv_sec), t.tv_nsec);
}

std::int64_t count_in(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::max<std::int64_t>(0, std::atoll(text)) : 0;
}

std::string claim_of(const std::string& run_dir, std::int64_t life) {
  return run_dir + "/life-" + std::to_string(life) + ".claim";
}

// The first number from `life` on that no other start has. Claims stay: a slow start may have read
// life.json long ago.
std::int64_t claim(const std::string& run_dir, std::int64_t life) {
  for (;; ++life) {
    const std::string path = claim_of(run_dir, life);
    const FileHandle file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (file.get() >= 0) return life;
    if (errno != EEXIST) throw_errno("cannot make " + path);
  }
}

}  // namespace

Start start_from_environment() {
  const char* job = std::getenv("SLURM_JOB_ID");
  return {.restart = std::max(count_in("SLURM_RESTART_COUNT"), count_in("LOCKSTEP_RESTART")),
          .job = job ? job : ""};
}

Fence Fence::take(const std::string& run_dir, const Start& start) {
  const std::optional<Life> before = present(run_dir);
  if (before && !start.job.empty() && before->job == start.job && before->restart > start.restart) {
    throw ConfigError(format("%s belongs to restart %lld of job %s by now; this is restart %lld",
                             run_dir.c_str(), static_cast<long long>(before->restart),
                             start.job.c_str(), static_cast<long long>(start.restart)));
  }
  const std::int64_t life = claim(run_dir, before ? before->life + 1 : 0);
  const std::string owner =
      to_text({.life = life, .restart = start.restart, .job = start.job, .owner = this_process()});
  // Beside the place under a name that only this life has.
  const std::string draft = claim_of(run_dir, life) + ".json";
  write_file(draft, owner);
  if (std::rename(draft.c_str(), (run_dir + kFile).c_str()) != 0)
    throw_errno("cannot rename " + draft);
  return {run_dir, owner};
}

void Fence::check() const {
  const std::string found = read(path_);
  if (found == owner_) return;
  const Life theirs = parse(found, path_), ours = parse(owner_, path_);
  throw ConfigError(
      format("%s is continued by life %lld of this run (restart %lld, %s); this is "
             "life %lld (restart %lld), which writes nothing there any more",
             path_.c_str(), static_cast<long long>(theirs.life),
             static_cast<long long>(theirs.restart), theirs.owner.c_str(),
             static_cast<long long>(ours.life), static_cast<long long>(ours.restart)));
}

std::int64_t Fence::life() const {
  return parse(owner_, path_).life;
}

}  // namespace lockstep
