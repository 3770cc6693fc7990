// SPDX-License-Identifier: Apache-2.0
// What somebody meant who wrote an unknown name: the nearest of the known ones.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/config/keys.hpp"

namespace lockstep {

// Letters inserted, deleted, replaced or swapped with their neighbour to make one from the other.
int edit_distance(std::string_view a, std::string_view b);

// "did you mean model.layers?", or, where no key is near, the keys that the section has.
std::string suggest_key(const Section& section, const std::string& key,
                        const std::vector<Section>& all);
// "did you mean [model]?", or all sections.
std::string suggest_section(const std::string& name, const std::vector<Section>& all);
// For a key outside all sections: "did you mean job.steps?".
std::string suggest_home(const std::string& key, const std::vector<Section>& all);

}  // namespace lockstep
