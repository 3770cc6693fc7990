// SPDX-License-Identifier: Apache-2.0
// What the program says while it runs. Messages go to stderr: all of them from rank 0, warnings and
// worse from the others, with their rank. The step table goes to stdout, from rank 0 alone.
#pragma once

#include <string>

namespace lockstep {

// Once, when the rank is known; before that messages are those of rank 0.
void start_logging(int rank);

void log_info(const std::string& text);
void log_warning(const std::string& text);
void log_error(const std::string& text);

// One line of the step table, visible at once.
void print_row(const std::string& row);

}  // namespace lockstep
