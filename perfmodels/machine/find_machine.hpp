// SPDX-License-Identifier: Apache-2.0
// What --machine says: the path of a profile, or the name of a shipped one ("a100").
#pragma once

#include <string>
#include <vector>

#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// The profiles that are shipped: of the folder beside the installed program
// (../share/lockstep/machines), else of the source tree that it was built from.
std::vector<std::string> shipped_machines();

// A file, if there is one of that name; else a shipped profile. ConfigError lists what is shipped.
Machine find_machine(const std::string& name_or_path);

}  // namespace lockstep
