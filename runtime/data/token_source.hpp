// SPDX-License-Identifier: Apache-2.0
// A corpus as one long sequence of tokens. Reading is const and safe from several threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

class TokenSource {
 public:
  TokenSource() = default;
  virtual ~TokenSource() = default;
  TokenSource(const TokenSource&) = delete;
  TokenSource& operator=(const TokenSource&) = delete;

  virtual std::int64_t size() const = 0;
  virtual std::int64_t vocabulary() const = 0;  // every token is below it
  // Tokens offset, offset + 1, ...; all of them must lie inside.
  virtual void read(std::int64_t offset, std::span<std::int32_t> into) const = 0;
};

// Files and directories, read into memory: one byte is one token, the vocabulary is 256. `key` is
// the configuration key that named the paths, for messages.
std::unique_ptr<TokenSource> open_bytes(const std::vector<std::string>& paths,
                                        const std::string& key = "data.path");

// Shards of 16-bit tokens, memory-mapped, in the order given. `vocabulary` 0: the largest token of
// all shards + 1, which costs reading them once.
std::unique_ptr<TokenSource> open_tokens(const std::vector<std::string>& paths,
                                         std::int64_t vocabulary,
                                         const std::string& key = "data.path");

}  // namespace lockstep
