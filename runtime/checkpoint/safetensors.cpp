// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <fstream>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

namespace lockstep {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are mapped, never swapped");

using Json = nlohmann::json;
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr const char* kMetadata = "__metadata__";

constexpr std::pair<const char*, DType> kTypes[] = {
    {"F32", DType::float32}, {"F64", DType::float64}, {"BF16", DType::bfloat16},
    {"F16", DType::float16}, {"I32", DType::int32},   {"I64", DType::int64},
    {"U8", DType::uint8},    {"BOOL", DType::uint8},
};

DType parse_dtype(const Json& value) {
  for (const auto& [text, dtype] : kTypes) {
    if (value == text) return dtype;
  }
  throw ConfigError("its dtype is none of F32, F64, BF16, F16, I32, I64, U8, BOOL");
}

std::vector<std::uint64_t> parse_counts(const Json& value, const char* key) {
  const auto is_count = [](const Json& v) { return v.is_number_unsigned(); };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_count)) {
    throw ConfigError(std::string("its ") + key + " is not a list of whole numbers");
  }
  return value.get<std::vector<std::uint64_t>>();
}

Shape parse_shape(const Json& value, DType dtype) {
  constexpr std::uint64_t kLimit = std::numeric_limits<std::int64_t>::max();
  const auto counts = parse_counts(value, "shape");
  if (counts.size() > std::size_t{Shape::kMaxDims}) {
    throw ConfigError("it has " + std::to_string(counts.size()) + " dims, at most " +
                      std::to_string(Shape::kMaxDims) + " are supported");
  }
  std::uint64_t bytes = size_of(dtype);
  for (std::uint64_t dim : counts) {
    if (dim > kLimit || (dim != 0 && bytes > kLimit / dim)) {
      throw ConfigError("its shape means more than 2^63 bytes");
    }
    bytes *= dim;
  }
  const std::vector<std::int64_t> dims(counts.begin(), counts.end());
  return Shape(dims);
}

SafetensorsEntry parse_entry(const Json& value) {
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!value.is_object() || !value.contains(key)) {
      throw ConfigError(std::string("it has no ") + key);
    }
  }
  const DType dtype = parse_dtype(value["dtype"]);
  const Shape shape = parse_shape(value["shape"], dtype);
  const auto offsets = parse_counts(value["data_offsets"], "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    throw ConfigError("its data_offsets are not a begin and an end");
  }
  const std::uint64_t bytes = offsets[1] - offsets[0];
  if (static_cast<std::uint64_t>(shape.count()) * size_of(dtype) != bytes) {
    throw ConfigError("its data_offsets span " + std::to_string(bytes) + " bytes, not shape " +
                      shape.text() + " of " + name_of(dtype));
  }
  return {dtype, shape, offsets[0], offsets[1]};
}

std::map<std::string, std::string> parse_metadata(const Json& value) {
  if (!value.is_object()) throw ConfigError("it is not an object");
  std::map<std::string, std::string> result;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) throw ConfigError("its value '" + key + "' is not a string");
    result[key] = text.get<std::string>();
  }
  return result;
}

const char* name_in_file(DType dtype) {
  for (const auto& [text, known] : kTypes) {
    if (known == dtype) return text;
  }
  throw LogicError("element type without a safetensors name");
}

std::string header_of(std::span<const NamedBytes> tensors,
                      const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::size_t at = 0;
  for (const NamedBytes& tensor : tensors) {
    const auto bytes = static_cast<std::size_t>(tensor.shape.count()) * size_of(tensor.dtype);
    expect(tensor.bytes.size() == bytes, "bytes of a tensor do not fit its shape");
    expect(tensor.name != kMetadata && !header.contains(tensor.name), "tensor name used twice");

    Json dims = Json::array();
    for (int i = 0; i < tensor.shape.rank(); ++i)
      dims.push_back(tensor.shape[i]);
    header[tensor.name] = {{"dtype", name_in_file(tensor.dtype)},
                           {"shape", std::move(dims)},
                           {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // aligns the buffer
  return text;
}

// What follows the length in the file, checked against the file's size.
std::size_t header_bytes(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) throw ConfigError("it is shorter than a header length");
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  const std::size_t rest = file.size() - kLengthBytes;
  if (length > kMaxHeaderBytes || length > rest) {
    throw ConfigError("it announces a header of " + std::to_string(length) + " bytes and has " +
                      std::to_string(rest));
  }
  return length;
}

}  // namespace

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  SafetensorsFile result(path, MappedFile::open(path));
  const auto bytes = result.file_.bytes();
  try {
    const std::size_t length = header_bytes(bytes);
    result.buffer_begin_ = kLengthBytes + length;
    result.read_header(bytes.subspan(kLengthBytes, length));
    result.check_tiling(bytes.size() - result.buffer_begin_);
  } catch (const ConfigError& error) {
    throw ConfigError(path + ": not a valid safetensors file: " + error.what());
  }
  return result;
}

void SafetensorsFile::read_header(std::span<const std::byte> header) {
  const auto* text = reinterpret_cast<const char*>(header.data());
  const Json json = Json::parse(text, text + header.size(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw ConfigError("its header is not a JSON object");

  for (const auto& [name, value] : json.items()) {
    try {
      if (name == kMetadata) {
        metadata_ = parse_metadata(value);
      } else {
        entries_[name] = parse_entry(value);
      }
    } catch (const ConfigError& error) {
      throw ConfigError("'" + name + "': " + error.what());
    }
  }
}

void SafetensorsFile::check_tiling(std::size_t buffer_bytes) const {
  std::vector<const std::pair<const std::string, SafetensorsEntry>*> order;
  for (const auto& item : entries_)
    order.push_back(&item);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  std::size_t at = 0;
  for (const auto* item : order) {
    if (item->second.begin != at) {
      throw ConfigError("'" + item->first + "': it begins at byte " +
                        std::to_string(item->second.begin) + ", the tensor before ends at byte " +
                        std::to_string(at));
    }
    at = item->second.end;
  }
  if (at != buffer_bytes) {
    throw ConfigError("its tensors end at byte " + std::to_string(at) + ", its buffer at byte " +
                      std::to_string(buffer_bytes));
  }
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> result;
  for (const auto& [name, entry] : entries_)
    result.push_back(name);
  return result;
}

std::span<const std::byte> SafetensorsFile::bytes(const std::string& name) const {
  const SafetensorsEntry& tensor = entry(name);
  return file_.bytes().subspan(buffer_begin_ + tensor.begin, tensor.end - tensor.begin);
}

const SafetensorsEntry& SafetensorsFile::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) throw ConfigError(path_ + ": has no tensor '" + name + "'");
  return found->second;
}

std::span<const std::byte> SafetensorsFile::bytes_of(const std::string& name,
                                                     DType expected) const {
  if (dtype(name) != expected) {
    throw ConfigError(path_ + ": '" + name + "' holds " + name_of(dtype(name)) + ", " +
                      name_of(expected) + " is needed");
  }
  return bytes(name);
}

std::string safetensors_header(std::span<const NamedBytes> tensors,
                               const std::map<std::string, std::string>& metadata) {
  const std::string header = header_of(tensors, metadata);
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), kLengthBytes) + header;
}

void write_safetensors(const std::string& path, std::span<const NamedBytes> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::ofstream file(path, std::ios::binary);
  file << safetensors_header(tensors, metadata);
  for (const NamedBytes& tensor : tensors) {
    file.write(reinterpret_cast<const char*>(tensor.bytes.data()),
               static_cast<std::streamsize>(tensor.bytes.size()));
  }
  file.close();
  if (!file) throw_errno(path + ": cannot be written");
}

}  // namespace lockstep
