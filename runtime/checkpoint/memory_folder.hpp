// SPDX-License-Identifier: Apache-2.0
// Where a run's copies lie in the memory of this node, and what former runs left there. No MPI.
#pragma once

#include <string>

namespace lockstep {

// What RUN/memory.json names; empty: the run has nothing in memory.
std::string memory_name_of(const std::string& run_dir);
std::string new_memory_name(const std::string& run_dir);  // different for every call anywhere
void write_memory_name(const std::string& run_dir, const std::string& name);
void unlink_memory_name(const std::string& run_dir);

// PLACE/NAME@HOST
std::string memory_folder(const std::string& place, const std::string& name);
// Appears with a note whose it is, for its owner only; nothing if it is there.
void make_memory_folder(const std::string& folder, const std::string& run_dir);
// Takes away, and says so, what runs of this user have left that do not name it any more.
void sweep_memory(const std::string& place);

}  // namespace lockstep
