// SPDX-License-Identifier: Apache-2.0
#include "collectives/transports/processes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "collectives/copy_bytes.hpp"
#include "collectives/node_memory.hpp"
#include "collectives/transports/mpi.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

// Whether the ranks together may use at least as many cores as they are.
Crowding crowding_of(MPI_Comm comm, int ranks) {
  std::array<unsigned long, CPU_SETSIZE / (8 * sizeof(unsigned long))> mask{};
  static_assert(sizeof(cpu_set_t) <= sizeof(mask));
  const bool known =
      sched_getaffinity(0, sizeof(cpu_set_t), reinterpret_cast<cpu_set_t*>(mask.data())) == 0;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, mask.data(), static_cast<int>(mask.size()),
                          MPI_UNSIGNED_LONG, MPI_BOR, comm));
  int cores = 0;
  for (const unsigned long word : mask)
    cores += __builtin_popcountl(word);
  return known && ranks <= cores ? Crowding::own_core : Crowding::shared_core;
}

class ProcessSpace : public SharedSpace {
 public:
  ProcessSpace(CommHandle comm, MPI_Comm whole, Crowding crowding)
      : comm_(std::move(comm)),
        whole_(whole == MPI_COMM_NULL ? comm_.get() : whole),
        crowding_(crowding) {
    check_mpi(MPI_Comm_rank(comm_.get(), &rank_));
    check_mpi(MPI_Comm_size(comm_.get(), &size_));
    pids_.resize(static_cast<std::size_t>(size_));
    const int pid = getpid();
    check_mpi(MPI_Allgather(&pid, 1, MPI_INT, pids_.data(), 1, MPI_INT, comm_.get()));
    can_read_ = on_all(reads_neighbour(), whole_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Crowding crowding() const override { return crowding_; }

  std::shared_ptr<std::byte> map(std::size_t bytes) override {
    NodeMemory mapped = map_on_node(bytes, comm_.get(), whole_);
    if (!mapped.memory && rank_ == 0) {
      log_warning("no " + std::to_string(bytes >> 10) + " KiB of shared memory for " +
                  std::to_string(size_) + " ranks (" +
                  (mapped.why_not.empty() ? "another node has none" : mapped.why_not) +
                  "): they send messages instead, which is slower; enlarge /dev/shm");
    }
    return std::move(mapped.memory);
  }

  bool can_read() const override { return can_read_; }

  void read(std::byte* to, int rank, std::uint64_t address, std::size_t bytes) const override {
    const bool slowly = copies_slowly(reinterpret_cast<std::uintptr_t>(to), address, bytes);
    slowly ? read_aside(to, rank, address, bytes) : read_straight(to, rank, address, bytes);
  }

  bool alone() const override { return size_ == 1 && whole_ == comm_.get(); }
  std::unique_ptr<Transport> messages() const override {
    return make_mpi_transport(duplicate(comm_.get()));
  }

  std::unique_ptr<SharedSpace> split(int color, int key) override {
    return std::make_unique<ProcessSpace>(lockstep::split(comm_.get(), color, key), MPI_COMM_NULL,
                                          crowding_);
  }

 private:
  void read_straight(std::byte* to, int rank, std::uint64_t address, std::size_t bytes) const {
    while (bytes > 0) {
      const ssize_t got = read_some(to, rank, address, bytes);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == ESRCH) throw SystemError(text_of(rank) + " has ended");
      if (got <= 0) throw_errno("reading the memory of " + text_of(rank));
      to += got;
      address += static_cast<std::uint64_t>(got);
      bytes -= static_cast<std::size_t>(got);
    }
  }

  // In pieces that stay in the first cache, by way of memory that lies otherwise within its page.
  void read_aside(std::byte* to, int rank, std::uint64_t address, std::size_t bytes) const {
    constexpr std::size_t kPage = 4096, kPiece = 4 * kPage;
    std::array<std::byte, kPiece + kPage> room;
    const std::size_t apart =
        (address + kPage / 2 - reinterpret_cast<std::uintptr_t>(room.data())) % kPage;
    std::byte* const aside = room.data() + apart;
    for (std::size_t at = 0; at < bytes; at += kPiece) {
      const std::size_t n = std::min(kPiece, bytes - at);
      read_straight(aside, rank, address + at, n);
      copy_bytes(to + at, aside, n);
    }
  }

  std::string text_of(int rank) const {
    return "rank " + std::to_string(rank) + " of the group (pid " +
           std::to_string(pids_[static_cast<std::size_t>(rank)]) + ")";
  }

  ssize_t read_some(std::byte* to, int rank, std::uint64_t address, std::size_t bytes) const {
    const iovec local{to, bytes};
    const iovec remote{reinterpret_cast<void*>(address), bytes};
    return process_vm_readv(pids_[static_cast<std::size_t>(rank)], &local, 1, &remote, 1, 0);
  }

  // Every rank shows a word that only it can know, and reads that of the next.
  bool reads_neighbour() const {
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);  // Yama: others of this user may; no error elsewhere
    const std::uint64_t word = 0x10c557e9u ^ static_cast<std::uint64_t>(rank_) << 32;
    std::array<std::uint64_t, 2> mine{reinterpret_cast<std::uint64_t>(&word), word}, next{};
    const int to = (rank_ + size_ - 1) % size_, from = (rank_ + 1) % size_;
    check_mpi(MPI_Sendrecv(mine.data(), 2, MPI_UINT64_T, to, 0, next.data(), 2, MPI_UINT64_T, from,
                           0, comm_.get(), MPI_STATUS_IGNORE));
    std::uint64_t seen = 0;
    const ssize_t got = read_some(reinterpret_cast<std::byte*>(&seen), from, next[0], sizeof seen);
    const bool right = got == sizeof seen && seen == next[1];
    check_mpi(MPI_Barrier(comm_.get()));  // `word` lives until all have read
    return right;
  }

  CommHandle comm_;
  MPI_Comm whole_;
  Crowding crowding_;
  int rank_ = 0, size_ = 1;
  std::vector<int> pids_;
  bool can_read_ = false;
};

}  // namespace

std::unique_ptr<SharedSpace> make_process_space(CommHandle node, MPI_Comm whole) {
  int ranks = 1;
  check_mpi(MPI_Comm_size(node.get(), &ranks));
  const bool own_core = crowding_of(node.get(), ranks) == Crowding::own_core;
  const bool everywhere = on_all(own_core, whole == MPI_COMM_NULL ? node.get() : whole);
  // Where there are other nodes, a neighbour comes late because it waits for them.
  const Crowding shared = whole == MPI_COMM_NULL ? Crowding::shared_core : Crowding::far;
  const Crowding crowding = everywhere ? Crowding::own_core : shared;
  return std::make_unique<ProcessSpace>(std::move(node), whole, crowding);
}

}  // namespace lockstep
