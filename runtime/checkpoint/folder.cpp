// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/folder.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/mapped_file.hpp"

namespace lockstep {

namespace fs = std::filesystem;

namespace {

constexpr const char* kDraft = ".partial-";
constexpr const char* kReplaced = ".replaced";

// -1 for the name of anything but a complete checkpoint.
std::int64_t step_in(const std::string& name) {
  constexpr std::string_view kBegin = "step-";
  if (!name.starts_with(kBegin)) return -1;
  std::int64_t step = -1;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + kBegin.size(), end, step);
  return parsed.ec == std::errc() && parsed.ptr == end ? step : -1;
}

std::vector<fs::path> entries_of(const std::string& path) {
  std::error_code error;
  std::vector<fs::path> all;
  fs::directory_iterator at(path, error);
  if (error == std::errc::no_such_file_or_directory) return all;
  if (error) throw ConfigError(path + ": cannot be read (" + error.message() + ")");
  for (const auto& entry : at)
    all.push_back(entry.path());
  return all;
}

void take_away(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) throw SystemError("cannot remove " + path.string() + ": " + error.message());
}

void make_directory(const std::string& path) {
  std::error_code error;
  fs::create_directory(path, error);
  if (error) throw SystemError("cannot make " + path + ": " + error.message());
}

void rename_to(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) throw_errno("cannot rename " + from);
}

// First it is no checkpoint and no draft any more, then it goes: nobody finds half of one, and a
// former life that is about to rename it finds nothing.
void abandon(const std::string& path) {
  const std::string gone = path + kReplaced;
  take_away(gone);
  if (std::rename(path.c_str(), gone.c_str()) == 0) return take_away(gone);
  if (errno != ENOENT) throw_errno("cannot rename " + path);  // else another start was faster
}

}  // namespace

std::string CheckpointFolder::place_of(std::int64_t step) const {
  return path_ + format("/step-%08lld", static_cast<long long>(step));
}

std::string CheckpointFolder::draft_of(std::int64_t step, std::int64_t life) const {
  return place_of(step) + kDraft + std::to_string(life);
}

std::vector<std::int64_t> CheckpointFolder::steps() const {
  std::vector<std::int64_t> all;
  for (const fs::path& entry : entries_of(path_)) {
    const std::int64_t step = step_in(entry.filename().string());
    std::error_code error;
    if (step >= 0 && fs::exists(entry / kManifestFile, error)) all.push_back(step);
    if (error) {  // whether it is complete is not known: not to be passed over
      throw PermissionError(entry.string() + ": cannot be read (" + error.message() + ")");
    }
  }
  std::sort(all.rbegin(), all.rend());
  return all;
}

void CheckpointFolder::clean() const {
  if (!fs::is_directory(path_)) make_directory(path_);
  for (const fs::path& entry : entries_of(path_)) {
    const std::string name = entry.filename().string();
    if (!name.starts_with("step-")) continue;
    if (name.ends_with(kReplaced)) {
      take_away(entry);
    } else if (name.find(kDraft) != std::string::npos) {
      abandon(entry.string());
    }
  }
}

std::string CheckpointFolder::make_draft(std::int64_t step, std::int64_t life) const {
  const std::string draft = draft_of(step, life);
  take_away(draft);
  make_directory(draft);
  return draft;
}

// The place is empty, or holds what a damaged or forgotten branch of the run left there.
void CheckpointFolder::commit(std::int64_t step, std::int64_t life) const {
  const std::string draft = draft_of(step, life), place = place_of(step);
  flush_directory(draft);
  if (!fs::exists(place)) {
    rename_to(draft, place);
  } else if (renameat2(AT_FDCWD, draft.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) {
    abandon(draft);
  } else if (errno != EINVAL && errno != ENOSYS) {
    throw_errno("cannot rename " + draft);
  } else {  // a file system that cannot exchange: for a moment neither is there
    rename_to(place, place + kReplaced);
    rename_to(draft, place);
    take_away(place + kReplaced);
  }
  flush_directory(path_);
}

void CheckpointFolder::retain(std::int64_t step, std::int64_t keep, std::int64_t keep_every) const {
  std::vector<std::int64_t> all = steps();
  std::erase_if(all, [step](std::int64_t other) { return other > step; });
  for (const std::int64_t old : outdated(all, keep, keep_every)) {
    abandon(place_of(old));
  }
}

std::vector<std::int64_t> outdated(const std::vector<std::int64_t>& steps, std::int64_t keep,
                                   std::int64_t keep_every) {
  std::vector<std::int64_t> gone;
  for (std::size_t i = static_cast<std::size_t>(keep); i < steps.size(); ++i) {
    if (keep_every == 0 || steps[i] % keep_every != 0) gone.push_back(steps[i]);
  }
  return gone;
}

void expect_free(const std::string& path, std::uint64_t bytes) {
  struct statvfs status {};
  if (statvfs(path.c_str(), &status) != 0) throw_errno("cannot ask for the free space of " + path);
  const std::uint64_t free = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (free >= bytes) return;
  throw SystemError(
      format("%s: a checkpoint takes %.1f MB, but only %.1f MB of the disk are free; "
             "free some space there or lower checkpoint.keep",
             path.c_str(), 1e-6 * static_cast<double>(bytes), 1e-6 * static_cast<double>(free)));
}

Manifest read_manifest(const std::string& checkpoint) {
  const std::string path = checkpoint + "/" + kManifestFile;
  const std::string text = read_text(path);
  Manifest manifest;
  try {
    manifest = parse_manifest(text);
  } catch (const VersionError& error) {
    throw VersionError(path + ": " + error.what());
  } catch (const ConfigError& error) {
    throw ConfigError(path + ": " + error.what());
  }
  for (const Shard& shard : manifest.shards) {
    const std::string name = checkpoint + "/" + shard.file;
    std::error_code error;
    const auto size = fs::file_size(name, error);
    if (error) throw ConfigError(name + ": cannot be read (" + error.message() + ")");
    if (size != shard.bytes) {
      throw ConfigError(format("%s: has %llu bytes, the manifest says %llu: it is damaged",
                               name.c_str(), static_cast<unsigned long long>(size),
                               static_cast<unsigned long long>(shard.bytes)));
    }
  }
  return manifest;
}

void flush_directory(const std::string& path) {
  const FileHandle directory = open_file(path, O_RDONLY | O_DIRECTORY);
  if (fsync(directory.get()) != 0) throw_errno("cannot flush " + path);
}

}  // namespace lockstep
