// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/machine/find_machine.hpp"

#include <algorithm>
#include <filesystem>

#include "perfmodels/machine/profile.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

fs::path shipped_folder() {
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  const fs::path installed = program.parent_path().parent_path() / "share/lockstep/machines";
  return !failed && fs::is_directory(installed, failed) ? installed : LOCKSTEP_MACHINES;
}

}  // namespace

std::vector<std::string> shipped_machines() {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(shipped_folder(), failed)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Machine find_machine(const std::string& name_or_path) {
  std::error_code failed;
  if (fs::is_regular_file(name_or_path, failed)) return load_machine(name_or_path);
  const std::vector<std::string> names = shipped_machines();
  if (std::find(names.begin(), names.end(), name_or_path) != names.end()) {
    return load_machine((shipped_folder() / (name_or_path + ".toml")).string());
  }
  std::string known;
  for (const std::string& name : names)
    known += (known.empty() ? "" : ", ") + name;
  throw ConfigError("no machine profile '" + name_or_path + "': neither a file nor one of " +
                    known + "; `lockstep calibrate -o FILE` measures one");
}

}  // namespace lockstep
