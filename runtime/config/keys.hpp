// SPDX-License-Identifier: Apache-2.0
// Every key of a job file, once: its member, its meaning, what it may hold. Parsing, range checks,
// suggestions, the resolved file and --help-keys all walk this list. To add a key: a member in
// job_config.hpp and a line in keys.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "runtime/config/job_config.hpp"

namespace lockstep {

struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false, high_open = false;  // open: the bound itself is not allowed
};

// The member of the JobConfig that holds the value.
using KeyValue = std::variant<bool*, int*, std::int64_t*, double*, std::string*,
                              std::vector<std::string>*, std::array<double, 2>*>;

struct Key {
  const char* name;
  KeyValue value;
  const char* doc;
  Bounds range = {};                          // of numbers, and of each number in a list
  std::span<const char* const> allowed = {};  // of texts; empty: any
};

struct Section {
  const char* name;
  const char* doc;
  std::vector<Key> keys;
};

// The values point into `config`.
std::vector<Section> sections_of(JobConfig& config);

// What a key of text may be and folders above this one know: {"model.kind", "gpt, llama, mlp"}.
struct KeyNames {
  std::string key, names;
};
// key_reference with these names behind the meanings of their keys.
std::string key_reference(const std::vector<KeyNames>& tables);

// What --set takes to make `to` of `from`: "section.key=value".
std::vector<std::string> settings_between(const JobConfig& from, const JobConfig& to);

}  // namespace lockstep
