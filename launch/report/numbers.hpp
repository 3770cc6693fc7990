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

// The unit in which the largest value of a diagram is read well: value * factor.
struct ShownUnit {
  double factor;
  const char* name;
};
ShownUnit time_unit(double largest_seconds);  // us, ms, s
ShownUnit speed_unit(double largest);         // tokens per second, thousands, millions of them

}  // namespace lockstep
