// SPDX-License-Identifier: Apache-2.0
// Files that the configuration names: opened, read or memory-mapped, and owned. A file that cannot
// be read is a ConfigError that names the key, the file and the reason.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "runtime/base/handle.hpp"

namespace lockstep {

struct FileTraits {
  using type = int;
  static int null() { return -1; }
  static void destroy(int fd) noexcept;
};
using FileHandle = UniqueHandle<FileTraits>;

struct Mapping {
  void* address = nullptr;
  std::size_t bytes = 0;
  bool operator==(const Mapping&) const = default;
};

struct MappingTraits {
  using type = Mapping;
  static Mapping null() { return {}; }
  static void destroy(Mapping mapping) noexcept;
};
using MappingHandle = UniqueHandle<MappingTraits>;

FileHandle open_file(const std::string& path, const std::string& key);

// Reads up to `into.size()` bytes from where the file stands; fewer only at its end.
std::size_t read_file(const FileHandle& file, std::span<std::byte> into, const std::string& path,
                      const std::string& key);

// The whole file, read-only; its pages are shared by all ranks of a node.
MappingHandle map_file(const std::string& path, const std::string& key);

inline std::span<const std::byte> bytes_of(const MappingHandle& mapping) {
  return {static_cast<const std::byte*>(mapping.get().address), mapping.get().bytes};
}

// Throws the ConfigError for what errno says about `path`.
[[noreturn]] void throw_unreadable(const std::string& path, const std::string& key);

}  // namespace lockstep
