// SPDX-License-Identifier: Apache-2.0
// The sections [axes] and [set] of an experiment file. Only .cpp files of this folder include it
// (toml++ is heavy).
#pragma once

#include <string>
#include <vector>

#include <toml++/toml.h>

#include "launch/experiment/file.hpp"

namespace lockstep {

// In the order of the file. ConfigErrors name the line, and the nearest key where one is unknown.
std::vector<Axis> read_axes(const toml::table& table, const std::string& file);

// "section.key=value" of each entry; keys may be written in tables or with dots.
std::vector<std::string> read_settings(const toml::table& table, const std::string& file);

}  // namespace lockstep
