// SPDX-License-Identifier: Apache-2.0
// Files, owned and checked. Errors are SystemErrors that name the file.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/handle.hpp"

namespace lockstep {

struct FileTraits {
  using type = int;
  static int null() { return -1; }
  static void destroy(int file) noexcept;
};
using FileHandle = UniqueHandle<FileTraits>;

// open(2) with these flags; new files are readable by all.
FileHandle open_file(const std::string& path, int flags);

// Writes all of `bytes`, in one write(2) unless the system splits it.
void write_all(const FileHandle& file, std::string_view bytes, const std::string& path);

// The file appears whole or not at all: written beside its place, flushed to the disk, renamed.
void write_file(const std::string& path, std::string_view bytes);

}  // namespace lockstep
