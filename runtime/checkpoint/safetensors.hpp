// SPDX-License-Identifier: Apache-2.0
// The safetensors format: named tensors in one file, readable without running anything.
//
//   8 bytes   length of the header, little-endian
//   header    JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
//             "__metadata__": {"key": "text"}}
//   buffer    the elements, row-major, little-endian; the tensors tile it without gap or overlap
//
// Reading costs the header only: elements stay in the file until somebody looks at them.
// https://huggingface.co/docs/safetensors
#pragma once

#include <cstddef>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/dtype.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/mapped_file.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep {

struct SafetensorsEntry {
  DType dtype = DType::float32;
  Shape shape;
  std::size_t begin = 0, end = 0;  // bytes, in the buffer
};

class SafetensorsFile {
 public:
  // Throws ConfigError "path: what is wrong" unless every byte of the file is accounted for.
  static SafetensorsFile open(const std::string& path);

  const std::string& path() const { return path_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  std::vector<std::string> names() const;  // sorted
  bool contains(const std::string& name) const { return entries_.count(name) != 0; }

  // These throw ConfigError when the file has no such tensor; values() also when the type differs.
  DType dtype(const std::string& name) const { return entry(name).dtype; }
  const Shape& shape(const std::string& name) const { return entry(name).shape; }
  std::span<const std::byte> bytes(const std::string& name) const;  // in place, maybe unaligned
  template <class T = float>
  std::vector<T> values(const std::string& name) const {
    const auto source = bytes_of(name, dtype_of<T>());
    std::vector<T> copy(source.size() / sizeof(T));
    if (!copy.empty()) std::memcpy(copy.data(), source.data(), source.size());
    return copy;
  }

 private:
  SafetensorsFile(std::string path, MappedFile file)
      : path_(std::move(path)), file_(std::move(file)) {}
  void read_header(std::span<const std::byte> header);
  void check_tiling(std::size_t buffer_bytes) const;
  const SafetensorsEntry& entry(const std::string& name) const;
  std::span<const std::byte> bytes_of(const std::string& name, DType expected) const;

  std::string path_;
  MappedFile file_;
  std::size_t buffer_begin_ = 0;
  std::map<std::string, SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

// A tensor to be written; the bytes are only looked at.
struct NamedBytes {
  std::string name;
  DType dtype;
  Shape shape;
  std::span<const std::byte> bytes;
};

// What stands before the tensors: the length and the header. `bytes` need only have their sizes.
std::string safetensors_header(std::span<const NamedBytes> tensors,
                               const std::map<std::string, std::string>& metadata);

// Tensors land in the given order, the first on an 8-byte boundary. Throws SystemError when the
// file cannot be written completely; what stands there then is not a valid file.
void write_safetensors(const std::string& path, std::span<const NamedBytes> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace lockstep
