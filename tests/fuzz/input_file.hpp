// SPDX-License-Identifier: Apache-2.0
// The bytes under test as a file without a disk, for parsers that want a path.
#pragma once

#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

namespace lockstep::fuzz {

class InputFile {
 public:
  InputFile(const unsigned char* data, std::size_t size) : file_(memfd_create("input", 0)) {
    if (file_ < 0) std::abort();
    for (std::size_t at = 0; at < size;) {
      const ssize_t written = write(file_, data + at, size - at);
      if (written <= 0) std::abort();
      at += static_cast<std::size_t>(written);
    }
  }
  ~InputFile() { close(file_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

}  // namespace lockstep::fuzz
