// SPDX-License-Identifier: Apache-2.0
// Machine profiles as TOML files. A figure is a number, or [value, low, high]; a curve is a list
// of [x, value, low, high].
#pragma once

#include <string>

#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// ConfigErrors of one line name the file, the line and the key: unknown keys, wrong types, values
// that cannot be (a negative latency, a bandwidth of 0, an efficiency above 1).
Machine load_machine(const std::string& path);
Machine parse_machine(const std::string& text, const std::string& name);

std::string to_toml(const Machine& machine);

}  // namespace lockstep
