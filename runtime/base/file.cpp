// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

[[noreturn]] void throw_write_error(const std::string& path) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  throw SystemError("cannot write " + path + ": " + std::strerror(errno) +
                    (full ? "; free some space there or choose another place" : ""));
}

// Removes a file that did not become complete.
class Unfinished {
 public:
  explicit Unfinished(std::string path) : path_(std::move(path)) {}
  ~Unfinished() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  void finish(const std::string& as) {
    if (std::rename(path_.c_str(), as.c_str()) != 0) throw_write_error(as);
    path_.clear();
  }

 private:
  std::string path_;
};

}  // namespace

void FileTraits::destroy(int file) noexcept {
  close(file);
}

FileHandle open_file(const std::string& path, int flags) {
  FileHandle file(open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (file.get() < 0) throw_errno("cannot open " + path);
  return file;
}

void write_all(const FileHandle& file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) throw_write_error(path);
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void write_file(const std::string& path, std::string_view bytes) {
  const std::string draft = path + ".partial";
  const FileHandle file = open_file(draft, O_WRONLY | O_CREAT | O_TRUNC);
  Unfinished guard(draft);
  write_all(file, bytes, path);
  if (fsync(file.get()) != 0) throw_write_error(path);
  guard.finish(path);
}

}  // namespace lockstep
