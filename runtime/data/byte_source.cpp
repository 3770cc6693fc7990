// SPDX-License-Identifier: Apache-2.0
// A byte corpus in memory. Files are concatenated in an order shuffled by a fixed key of their
// index: the last part of the corpus is then a sample of all of it, so a validation split holds out
// whole files of every kind where there are many, and simply the tail where there is one.
#include <algorithm>
#include <utility>

#include <sys/stat.h>

#include "runtime/base/error.hpp"
#include "runtime/base/philox.hpp"
#include "runtime/data/file.hpp"
#include "runtime/data/text_files.hpp"
#include "runtime/data/token_source.hpp"

namespace lockstep {

namespace {

void shuffle_files(std::vector<std::string>& files) {
  const std::uint64_t key =
      random_key(0, RandomPurpose::data_order);  // of no seed: the split stays
  std::vector<std::pair<std::uint64_t, std::string>> drawn;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const PhiloxBlock block = philox(key, i);
    drawn.emplace_back((std::uint64_t{block.word[1]} << 32) | block.word[0], std::move(files[i]));
  }
  std::sort(drawn.begin(), drawn.end());
  for (std::size_t i = 0; i < files.size(); ++i)
    files[i] = std::move(drawn[i].second);
}

std::size_t announced_size(const std::string& path, const std::string& key) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) throw_unreadable(path, key);
  return static_cast<std::size_t>(status.st_size);
}

// Reads to the end, whatever size was announced: the file may have grown.
void append_file(std::vector<std::byte>& bytes, const std::string& path, const std::string& key) {
  constexpr std::size_t kChunk = 64 << 10;
  const FileHandle file = open_named(path, key);
  std::size_t got = kChunk;
  while (got == kChunk) {
    const std::size_t before = bytes.size();
    bytes.resize(before + kChunk);
    got = read_named(file, std::span(bytes).subspan(before), path, key);
    bytes.resize(before + got);
  }
}

std::vector<std::byte> read_all(const std::vector<std::string>& files, const std::string& key) {
  std::size_t total = 64 << 10;  // room for the last chunk
  for (const std::string& file : files)
    total += announced_size(file, key);
  std::vector<std::byte> bytes;
  bytes.reserve(total);
  for (const std::string& file : files)
    append_file(bytes, file, key);
  return bytes;
}

class ByteSource final : public TokenSource {
 public:
  explicit ByteSource(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(bytes_.size()); }
  std::int64_t vocabulary() const override { return 256; }

  void read(std::int64_t offset, std::span<std::int32_t> into) const override {
    expect(offset >= 0 && offset + static_cast<std::int64_t>(into.size()) <= size(),
           "read outside the corpus");
    std::transform(bytes_.begin() + offset, bytes_.begin() + offset + into.size(), into.begin(),
                   [](std::byte b) { return std::to_integer<std::int32_t>(b); });
  }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

std::unique_ptr<TokenSource> open_bytes(const std::vector<std::string>& paths,
                                        const std::string& key) {
  std::vector<std::string> files = text_files(paths, key);
  shuffle_files(files);
  std::vector<std::byte> bytes = read_all(files, key);
  if (bytes.empty()) {
    throw ConfigError(key + ": there is no text in " + paths.front() +
                      (paths.size() > 1 ? " and the others" : "") +
                      "; name files or directories that hold some");
  }
  return std::make_unique<ByteSource>(std::move(bytes));
}

}  // namespace lockstep
