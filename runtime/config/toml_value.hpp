// SPDX-License-Identifier: Apache-2.0
// Between TOML values and the members of a JobConfig: reading with type, range and allowed values
// checked, and writing. Only .cpp files include it (toml++ is heavy).
#pragma once

#include <optional>
#include <string>

#include <toml++/toml.h>

#include "runtime/config/keys.hpp"

namespace lockstep {

// A value as the user gave it.
struct WrittenValue {
  std::string where;  // "job.toml:7" or "--set model.layers=6"
  const toml::node& node;
  std::optional<std::string> bare = {};  // an override's text, for keys that hold text
};

// Fills the member, or throws ConfigError "where: section.key = value must be ...".
void read_value(const Section& section, const Key& key, const WrittenValue& written);

// The value in TOML, on one line.
std::string write_value(const KeyValue& value);

// "at least 1", "auto, cpu or dry"; empty where anything is allowed.
std::string limits_of(const Key& key);

}  // namespace lockstep
