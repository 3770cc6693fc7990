// SPDX-License-Identifier: Apache-2.0
// What a job trains on and what it is judged by: two ranges of token sources that share no token.
#pragma once

#include <cstdint>
#include <memory>

#include "runtime/config/job_config.hpp"
#include "runtime/data/token_source.hpp"

namespace lockstep {

struct TokenRange {
  std::shared_ptr<const TokenSource> source;
  std::int64_t begin = 0, end = 0;

  std::int64_t size() const { return end - begin; }
};

struct Corpus {
  TokenRange train, validation;  // validation may be empty
  std::int64_t vocabulary = 0;
};

// Opens what [data] names. Validation is data.validation_path, or else the last validation_share of
// data.path. `vocabulary` is model.vocabulary; 0 takes the data's.
Corpus open_corpus(const DataSection& data, std::int64_t vocabulary);

}  // namespace lockstep
