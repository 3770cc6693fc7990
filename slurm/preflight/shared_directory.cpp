// SPDX-License-Identifier: Apache-2.0
#include "slurm/preflight/shared_directory.hpp"

#include <chrono>
#include <filesystem>
#include <thread>

#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"

namespace lockstep::slurm {

namespace fs = std::filesystem;

namespace {

// Network file systems may show a new file to other nodes only after some time.
constexpr int kLooks = 50;
constexpr auto kBetweenLooks = std::chrono::milliseconds(100);

std::string name_for(const std::string& dir, int node) {
  return dir + "/.preflight-" + std::to_string(node);
}

std::string write_one(const std::string& dir, int node) {
  try {
    std::error_code ignored;
    fs::create_directories(dir, ignored);
    write_file(name_for(dir, node), "preflight\n");
  } catch (const SystemError& error) {
    return error.what();
  }
  return "";
}

bool appears(const std::string& path) {
  for (int look = 0; look < kLooks; ++look) {
    std::error_code ignored;
    if (fs::exists(path, ignored)) return true;
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return false;
}

}  // namespace

std::string try_directory(const Context& context, const std::string& dir) {
  const bool leader = context.local_rank() == 0;
  std::string error = leader ? write_one(dir, context.node()) : "";
  int first_wrote = error.empty();
  check_mpi(MPI_Bcast(&first_wrote, 1, MPI_INT, 0, context.world()));
  if (leader && error.empty() && first_wrote && !appears(name_for(dir, 0))) {
    error = "what the first node writes to " + dir + " does not appear here";
  }
  context.barrier();
  std::error_code ignored;
  if (leader) fs::remove(name_for(dir, context.node()), ignored);
  return error;
}

}  // namespace lockstep::slurm
