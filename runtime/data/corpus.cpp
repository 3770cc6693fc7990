// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/corpus.hpp"

#include <algorithm>
#include <string>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

TokenRange whole(std::shared_ptr<const TokenSource> source) {
  const std::int64_t size = source->size();
  return {std::move(source), 0, size};
}

// The last `share` of the range goes to the second part.
std::pair<TokenRange, TokenRange> split_tail(const TokenRange& range, double share) {
  const auto tail = static_cast<std::int64_t>(static_cast<double>(range.size()) * share);
  const std::int64_t cut = range.end - tail;
  return {{range.source, range.begin, cut}, {range.source, cut, range.end}};
}

std::shared_ptr<const TokenSource> open_source(const DataSection& data, std::int64_t vocabulary) {
  if (data.path.empty()) {
    throw ConfigError(
        "data.path is empty: name the files to train on, for example data.path = "
        "[\"/usr/include\"]");
  }
  if (data.kind == "tokens") return open_tokens(data.path, vocabulary);
  auto source = open_bytes(data.path);
  if (vocabulary > 0 && vocabulary < source->vocabulary()) {
    throw ConfigError("model.vocabulary = " + std::to_string(vocabulary) +
                      " is below the 256 tokens of data.kind = \"bytes\"; set it to 0 or 256");
  }
  return source;
}

}  // namespace

Corpus open_corpus(const DataSection& data, std::int64_t vocabulary) {
  const TokenRange all = whole(open_source(data, vocabulary));
  Corpus corpus;
  if (data.validation_path.empty()) {
    std::tie(corpus.train, corpus.validation) = split_tail(all, data.validation_share);
  } else {
    corpus.train = all;
    corpus.validation =
        whole(open_tokens(data.validation_path, vocabulary, "data.validation_path"));
  }
  corpus.vocabulary = vocabulary > 0 ? vocabulary
                                     : std::max(corpus.train.source->vocabulary(),
                                                corpus.validation.source->vocabulary());
  return corpus;
}

}  // namespace lockstep
