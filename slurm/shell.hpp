// SPDX-License-Identifier: Apache-2.0
// Texts of users as words of bash and as values of #SBATCH lines: quoted, never interpreted. Pure.
#pragma once

#include <string>

namespace lockstep::slurm {

// One word of bash, plain where no letter needs quotes.
std::string shell_word(const std::string& text);

// The value of an option on an #SBATCH line. Slurm cuts these lines itself: inside quotes a
// backslash takes the next letter as it is.
std::string directive_value(const std::string& text);

// Throws ConfigError if `text` holds a newline or another control character: no quotes make those
// one line.
void expect_one_line(const std::string& key, const std::string& text);

}  // namespace lockstep::slurm
