// SPDX-License-Identifier: Apache-2.0
// The one door to toml++: every TOML text comes in here, every quoted text goes out. Only .cpp
// files include it (toml++ is heavy).
#pragma once

#include <string>

#include <toml++/toml.h>

namespace lockstep {

// Throws ConfigError "NAME:LINE: not valid TOML: ...".
toml::table parse_toml(const std::string& text, const std::string& name);

// A value in TOML, on one line.
std::string formatted(const toml::node& value);

}  // namespace lockstep
