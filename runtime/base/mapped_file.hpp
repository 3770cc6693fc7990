// SPDX-License-Identifier: Apache-2.0
// A whole file as read-only memory: pages come in when they are touched and are shared by the ranks
// of a node. A file that shrinks while it is mapped kills its readers, as with every mapping.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "runtime/base/error.hpp"
#include "runtime/base/handle.hpp"

namespace lockstep {

// Not damaged, but not for this user.
class PermissionError : public ConfigError {
 public:
  using ConfigError::ConfigError;
};

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

class MappedFile {
 public:
  // Throws ConfigError, naming the path, when there is no such regular file or it may not be read.
  static MappedFile open(const std::string& path);

  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(mapping_.get().address), mapping_.get().bytes};
  }

 private:
  explicit MappedFile(Mapping mapping) : mapping_(mapping) {}
  UniqueHandle<MappingTraits> mapping_;
};

// What a file holds; the same errors.
std::string read_text(const std::string& path);

}  // namespace lockstep
