// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/mapped_file.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/error.hpp"

namespace lockstep {
namespace {

struct DescriptorTraits {
  using type = int;
  static int null() { return -1; }
  static void destroy(int descriptor) noexcept { ::close(descriptor); }
};

[[noreturn]] void refuse(const std::string& path) {
  const std::string what = path + ": cannot be read (" + std::strerror(errno) + ")";
  if (errno == EACCES || errno == EPERM) throw PermissionError(what);
  throw ConfigError(what);
}

}  // namespace

void MappingTraits::destroy(Mapping mapping) noexcept {
  ::munmap(mapping.address, mapping.bytes);
}

MappedFile MappedFile::open(const std::string& path) {
  // Without O_NONBLOCK a named pipe would wait for somebody who writes; files do not care.
  const UniqueHandle<DescriptorTraits> file(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) refuse(path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) refuse(path);
  if (!S_ISREG(status.st_mode)) throw ConfigError(path + ": is not a regular file");

  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes == 0) return MappedFile({});  // nothing to map, and mmap would refuse
  void* address = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) throw_errno(path + ": cannot be mapped");
  return MappedFile({address, bytes});
}

std::string read_text(const std::string& path) {
  const MappedFile file = MappedFile::open(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace lockstep
