// SPDX-License-Identifier: Apache-2.0
#include "collectives/node_memory.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <random>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.hpp"

namespace lockstep {

namespace {

using Name = std::array<char, 64>;

// The name goes when all have opened it, or when anything fails.
struct Unlink {
  const char* name;
  ~Unlink() {
    if (name[0]) shm_unlink(name);
  }
};

Name new_name() {
  Name name{};
  const std::string text =
      "/lockstep-" + std::to_string(getpid()) + "-" + std::to_string(std::random_device{}());
  text.copy(name.data(), name.size() - 1);
  return name;
}

// Pages are reserved at once: one that /dev/shm has no room for would be a bus error later.
FileHandle create(const Name& name, std::size_t bytes) {
  FileHandle file(shm_open(name.data(), O_CREAT | O_EXCL | O_RDWR, S_IRUSR | S_IWUSR));
  if (file.get() < 0) return file;
  if (const int error = posix_fallocate(file.get(), 0, static_cast<off_t>(bytes))) {
    file = FileHandle();
    errno = error;
  }
  return file;
}

std::shared_ptr<std::byte> map(const FileHandle& file, std::size_t bytes) {
  if (file.get() < 0) return nullptr;
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.get(), 0);
  if (memory == MAP_FAILED) return nullptr;
  return {static_cast<std::byte*>(memory), [bytes](std::byte* m) { munmap(m, bytes); }};
}

}  // namespace

NodeMemory map_on_node(std::size_t bytes, MPI_Comm node, MPI_Comm whole) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(node, &rank));
  const bool first = rank == 0;
  Name name = first ? new_name() : Name{};
  const Unlink unlink{first ? name.data() : ""};

  NodeMemory mapped;
  if (first) mapped.memory = map(create(name, bytes), bytes);
  if (first && !mapped.memory) mapped.why_not = "/dev/shm: " + std::string(std::strerror(errno));
  check_mpi(MPI_Bcast(name.data(), static_cast<int>(name.size()), MPI_CHAR, 0, node));
  if (!first) mapped.memory = map(FileHandle(shm_open(name.data(), O_RDWR, 0)), bytes);
  if (!mapped.memory && mapped.why_not.empty()) mapped.why_not = "a rank cannot map it";

  if (!on_all(mapped.memory != nullptr, whole)) mapped.memory = nullptr;
  return mapped;
}

bool on_all(bool mine, MPI_Comm comm) {
  int all = mine;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_INT, MPI_MIN, comm));
  return all != 0;
}

}  // namespace lockstep
