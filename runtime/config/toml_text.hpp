// SPDX-License-Identifier: Apache-2.0
// The one door to toml++: every TOML text comes in here. Only .cpp files include it (toml++ is
// heavy).
#pragma once

#include <string>

#include <toml++/toml.h>

namespace lockstep {

// Throws ConfigError "NAME:LINE: not valid TOML: ...".
toml::table parse_toml(const std::string& text, const std::string& name);

}  // namespace lockstep
