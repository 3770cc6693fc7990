// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/file.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "runtime/base/error.hpp"

namespace lockstep {

void throw_unreadable(const std::string& path, const std::string& key) {
  throw ConfigError(key + ": " + path + " cannot be read: " + std::strerror(errno) +
                    "; name files that every rank can read");
}

FileHandle open_named(const std::string& path, const std::string& key) {
  FileHandle file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw_unreadable(path, key);
  return file;
}

MappedFile map_named(const std::string& path, const std::string& key) {
  try {
    return MappedFile::open(path);
  } catch (const ConfigError& error) {
    throw ConfigError(key + ": " + error.what() + "; name shards that every rank can read");
  }
}

std::size_t read_named(const FileHandle& file, std::span<std::byte> into, const std::string& path,
                       const std::string& key) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = read(file.get(), into.data() + done, into.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_unreadable(path, key);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

}  // namespace lockstep
