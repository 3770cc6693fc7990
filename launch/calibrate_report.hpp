// SPDX-License-Identifier: Apache-2.0
// What a calibration found, for people and as JSON.
#pragma once

#include <string>

#include "perfmodels/calibrate/calibrate.hpp"

namespace lockstep {

std::string calibration_text(const Calibration& calibration);
// `plot` is empty where none was drawn.
std::string calibration_json(const Calibration& calibration, const std::string& profile,
                             const std::string& plot);

}  // namespace lockstep
