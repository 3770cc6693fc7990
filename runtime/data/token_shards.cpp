// SPDX-License-Identifier: Apache-2.0
// Memory-mapped shards of 16-bit tokens, little-endian, in two formats:
//
//   llm.c     256 int32 of header: magic 20240520, version 1, number of tokens; then the tokens
//   nanoGPT   the tokens alone; what does not start with the magic is taken for this
//
// Tokens are checked against the vocabulary as they are read, and shards of up to 64 MiB at once
// (about 10 ms each), so that a wrong file ends the job before it starts.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include <sys/stat.h>

#include "runtime/base/error.hpp"
#include "runtime/data/file.hpp"
#include "runtime/data/token_source.hpp"

namespace lockstep {

namespace {

using Token = std::uint16_t;
using Header = std::array<std::int32_t, 256>;
constexpr std::int32_t kMagic = 20240520, kVersion = 1;
constexpr std::size_t kCheckedAtOnce = std::size_t{64} << 20;
static_assert(std::endian::native == std::endian::little, "token shards are little-endian");

[[noreturn]] void bad_shard(const std::string& key, const std::string& path,
                            const std::string& what) {
  throw ConfigError(key + ": " + path + ": " + what);
}

bool has_magic(std::span<const std::byte> bytes) {
  std::int32_t magic = 0;
  if (bytes.size() >= sizeof magic) std::memcpy(&magic, bytes.data(), sizeof magic);
  return magic == kMagic;
}

// The bytes after the header, which must say how many they are.
std::span<const std::byte> skip_header(std::span<const std::byte> bytes, const std::string& path,
                                       const std::string& key) {
  Header header;
  if (bytes.size() < sizeof header) bad_shard(key, path, "the header of 1024 bytes is cut short");
  std::memcpy(header.data(), bytes.data(), sizeof header);
  if (header[1] != kVersion) {
    bad_shard(key, path,
              "format version " + std::to_string(header[1]) + " is not known, only " +
                  std::to_string(kVersion) + " is");
  }
  const std::span<const std::byte> body = bytes.subspan(sizeof header);
  const std::int64_t count = header[2];
  if (count * static_cast<std::int64_t>(sizeof(Token)) != static_cast<std::int64_t>(body.size())) {
    bad_shard(key, path,
              "the header promises " + std::to_string(count) + " tokens, the file has " +
                  std::to_string(body.size() / sizeof(Token)) + "; fetch it again");
  }
  return body;
}

class Shard {
 public:
  Shard(const std::string& path, const std::string& key)
      : path_(path), key_(key), file_(map_named(path, key)) {
    std::span<const std::byte> body = file_.bytes();
    if (body.empty()) bad_shard(key, path, "is empty; fetch it again or leave it out");
    if (has_magic(body)) body = skip_header(body, path, key);
    if (body.size() % sizeof(Token) != 0) {
      bad_shard(key, path, std::to_string(body.size()) + " bytes are not whole 16-bit tokens");
    }
    tokens_ = {reinterpret_cast<const Token*>(body.data()), body.size() / sizeof(Token)};
  }

  std::span<const Token> tokens() const { return tokens_; }
  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.size()); }

  Token largest() const {
    return tokens_.empty() ? Token{0} : *std::max_element(tokens_.begin(), tokens_.end());
  }

  // A file that shrinks while it is mapped would kill its reader: it is asked before, some 1 us.
  void expect_whole() const {
    struct stat status {};
    const bool shrunk = stat(path_.c_str(), &status) == 0 &&
                        static_cast<std::size_t>(status.st_size) < file_.bytes().size();
    if (!shrunk) return;
    throw SystemError(key_ + ": " + path_ + " has become shorter while it was read");
  }

  // Throws unless tokens [begin, begin + count) are all below the vocabulary.
  void check(std::int64_t begin, std::int64_t count, std::int64_t vocabulary) const {
    if (vocabulary > UINT16_MAX) return;
    const auto part = tokens_.subspan(begin, count);
    const auto bad = std::find_if(part.begin(), part.end(),
                                  [&](Token t) { return t >= static_cast<Token>(vocabulary); });
    if (bad == part.end()) return;
    bad_shard(key_, path_,
              "token " + std::to_string(*bad) + " at position " +
                  std::to_string(begin + (bad - part.begin())) +
                  " is beyond model.vocabulary = " + std::to_string(vocabulary));
  }

 private:
  std::string path_, key_;
  MappedFile file_;
  std::span<const Token> tokens_;
};

class TokenShards final : public TokenSource {
 public:
  TokenShards(std::vector<Shard> shards, std::int64_t vocabulary)
      : shards_(std::move(shards)), vocabulary_(vocabulary) {
    for (const Shard& shard : shards_) {
      firsts_.push_back(size_);
      size_ += shard.size();
      if (shard.tokens().size_bytes() <= kCheckedAtOnce) shard.check(0, shard.size(), vocabulary_);
    }
  }

  std::int64_t size() const override { return size_; }
  std::int64_t vocabulary() const override { return vocabulary_; }

  void read(std::int64_t offset, std::span<std::int32_t> into) const override {
    expect(offset >= 0 && offset + static_cast<std::int64_t>(into.size()) <= size_,
           "read outside the shards");
    while (!into.empty()) {
      const auto after = std::upper_bound(firsts_.begin(), firsts_.end(), offset);
      const std::size_t s = static_cast<std::size_t>(after - firsts_.begin()) - 1;
      const std::int64_t begin = offset - firsts_[s];
      const auto count = std::min<std::int64_t>(shards_[s].size() - begin, into.size());

      shards_[s].expect_whole();
      shards_[s].check(begin, count, vocabulary_);
      const auto part = shards_[s].tokens().subspan(begin, count);
      std::copy(part.begin(), part.end(), into.begin());
      into = into.subspan(count);
      offset += count;
    }
  }

 private:
  std::vector<Shard> shards_;
  std::vector<std::int64_t> firsts_;  // position of each shard's first token in the sequence
  std::int64_t size_ = 0, vocabulary_;
};

std::int64_t vocabulary_of(const std::vector<Shard>& shards) {
  std::int64_t largest = 0;
  for (const Shard& shard : shards)
    largest = std::max<std::int64_t>(largest, shard.largest());
  return largest + 1;
}

}  // namespace

std::unique_ptr<TokenSource> open_tokens(const std::vector<std::string>& paths,
                                         std::int64_t vocabulary, const std::string& key) {
  std::vector<Shard> shards;
  shards.reserve(paths.size());
  for (const std::string& path : paths)
    shards.emplace_back(path, key);
  if (vocabulary == 0) vocabulary = vocabulary_of(shards);
  auto source = std::make_unique<TokenShards>(std::move(shards), vocabulary);
  if (source->size() == 0) throw ConfigError(key + ": " + paths.front() + " holds no tokens");
  return source;
}

}  // namespace lockstep
