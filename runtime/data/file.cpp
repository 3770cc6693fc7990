// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/file.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/error.hpp"

namespace lockstep {

// Nothing can be done about a failed close or unmap of what was only read.
void FileTraits::destroy(int fd) noexcept {
  close(fd);
}
void MappingTraits::destroy(Mapping mapping) noexcept {
  munmap(mapping.address, mapping.bytes);
}

void throw_unreadable(const std::string& path, const std::string& key) {
  throw ConfigError(key + ": " + path + " cannot be read: " + std::strerror(errno) +
                    "; name files that every rank can read");
}

FileHandle open_file(const std::string& path, const std::string& key) {
  FileHandle file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw_unreadable(path, key);
  return file;
}

std::size_t read_file(const FileHandle& file, std::span<std::byte> into, const std::string& path,
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

MappingHandle map_file(const std::string& path, const std::string& key) {
  const FileHandle file = open_file(path, key);
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) throw_unreadable(path, key);
  if (!S_ISREG(status.st_mode)) {
    throw ConfigError(key + ": " + path + " is not a file; list the shards themselves");
  }
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes == 0) throw ConfigError(key + ": " + path + " is empty; remove it from the list");
  void* address = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED) throw_unreadable(path, key);
  return MappingHandle({address, bytes});
}

}  // namespace lockstep
