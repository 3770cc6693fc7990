// SPDX-License-Identifier: Apache-2.0
// Files that a configuration key names. One that cannot be read is a ConfigError that says the key,
// the file and the reason.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "runtime/base/file.hpp"
#include "runtime/base/mapped_file.hpp"

namespace lockstep {

FileHandle open_named(const std::string& path, const std::string& key);
MappedFile map_named(const std::string& path, const std::string& key);

// Reads up to `into.size()` bytes from where the file stands; fewer only at its end.
std::size_t read_named(const FileHandle& file, std::span<std::byte> into, const std::string& path,
                       const std::string& key);

// Throws the ConfigError for what errno says about `path`.
[[noreturn]] void throw_unreadable(const std::string& path, const std::string& key);

}  // namespace lockstep
