// SPDX-License-Identifier: Apache-2.0
// Which files a byte corpus is made of.
#pragma once

#include <string>
#include <vector>

namespace lockstep {

// Files named in `paths` are taken as they are. Directories are searched recursively, entries in
// the order of their names; hidden entries, files that look binary (a NUL among the first 4 KiB),
// dead links and special files are passed over. A file or directory that is reached twice, by a
// link or otherwise, counts once, so links may form loops. ConfigError for a path that does not
// exist.
std::vector<std::string> text_files(const std::vector<std::string>& paths, const std::string& key);

}  // namespace lockstep
