// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/text_files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <utility>

#include <sys/stat.h>

#include "runtime/base/error.hpp"
#include "runtime/data/file.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

bool looks_binary(const std::string& path, const std::string& key) {
  std::array<std::byte, 4096> head;
  const std::size_t size = read_named(open_named(path, key), head, path, key);
  return std::find(head.begin(), head.begin() + size, std::byte{0}) != head.begin() + size;
}

class Collector {
 public:
  explicit Collector(const std::string& key) : key_(key) {}

  void take_named(const std::string& path) {
    struct stat status = {};
    if (stat(path.c_str(), &status) != 0) throw_unreadable(path, key_);
    if (!is_new(status)) return;
    if (S_ISDIR(status.st_mode)) {
      search(path);
    } else if (S_ISREG(status.st_mode)) {
      files_.push_back(path);
    } else {
      throw ConfigError(key_ + ": " + path + " is neither a file nor a directory");
    }
  }

  std::vector<std::string> files() && { return std::move(files_); }

 private:
  void search(const fs::path& directory) {
    for (const fs::path& entry : sorted_entries(directory)) {
      struct stat status = {};
      if (stat(entry.c_str(), &status) != 0) continue;  // a dead link
      if (S_ISDIR(status.st_mode) && is_new(status)) search(entry);
      if (S_ISREG(status.st_mode) && is_new(status) && !looks_binary(entry, key_)) {
        files_.push_back(entry);
      }
    }
  }

  std::vector<fs::path> sorted_entries(const fs::path& directory) const {
    std::error_code error;
    std::vector<fs::path> entries;
    for (fs::directory_iterator it(directory, error), end; !error && it != end;
         it.increment(error)) {
      if (it->path().filename().native().front() != '.') entries.push_back(it->path());
    }
    if (error) {
      throw ConfigError(key_ + ": " + directory.string() + " cannot be read: " + error.message() +
                        "; name directories that every rank can read");
    }
    std::sort(entries.begin(), entries.end());
    return entries;
  }

  bool is_new(const struct stat& status) {
    return seen_.emplace(status.st_dev, status.st_ino).second;
  }

  std::string key_;
  std::vector<std::string> files_;
  std::set<std::pair<dev_t, ino_t>> seen_;
};

}  // namespace

std::vector<std::string> text_files(const std::vector<std::string>& paths, const std::string& key) {
  Collector collector(key);
  for (const std::string& path : paths)
    collector.take_named(path);
  return std::move(collector).files();
}

}  // namespace lockstep
