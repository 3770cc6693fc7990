// SPDX-License-Identifier: Apache-2.0
// Numbers as reports show them.
#pragma once

#include <string>

#include "perfmodels/machine/figure.hpp"

namespace lockstep {

// Four digits that count, thousands set apart: "12,340", "12.34", "0.01234".
std::string number_text(double value);

// "12.34 (12.1 to 12.9)", times `scale`.
std::string interval_text(const Figure& figure, double scale);

}  // namespace lockstep
