// SPDX-License-Identifier: Apache-2.0
// One NCCL communicator, non-blocking: every call returns at once and is waited for by polling, so
// that setup has a deadline, too. After an error or a deadline it is aborted, which ends what runs
// on the GPU, and serves nothing more.
//
// Not here: ncclCommShrink (2.27), by which the others would go on without a lost rank. It would be
// one more function in the form of split(), with NCCL_SHRINK_ABORT and the lost ranks. It also
// takes an agreement on who is lost without MPI (which carries our ids, and ends with a rank), a
// mesh of other degrees, and the lost shards from copies in memory. A job that loses a rank starts
// anew instead.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "collectives/backends/nccl/library.hpp"
#include "collectives/deadline.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep::nccl {

class Comm {
 public:
  // Collective over `control`, which carries the unique id. On the current GPU, which no other rank
  // may have.
  static std::shared_ptr<Comm> make(std::shared_ptr<const Library> library, MPI_Comm control,
                                    const Deadline& deadline);
  ~Comm();
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;

  // The ranks of equal colour, ordered by key, then rank; null for colour kAlone. Collective.
  static constexpr int kAlone = -1;
  std::shared_ptr<Comm> split(int color, int key, const Deadline& deadline);

  // One launch: `calls` are fused into one group, which progress at the same time. Returns when it
  // is on the stream.
  void group(const Deadline& deadline, const std::function<void()>& calls);
  void check(ncclResult_t code, Site at = Site::here());
  // Throws what NCCL has found meanwhile: a peer gone, a network down. Success, or in progress.
  ncclResult_t look(Site at = Site::here());
  // Within a group it waits for the group's end: until then NCCL holds the communicator.
  void abort() noexcept;

  ncclComm_t get() const;
  const Library& library() const { return *library_; }
  // Memory of this GPU that NCCL moves without copies of its own.
  static std::shared_ptr<std::byte> allocate(const std::shared_ptr<Comm>& comm, std::size_t bytes);

 private:
  Comm(std::shared_ptr<const Library> library, int rank, int size);
  bool settle(const Deadline& deadline, Site at = Site::here());
  void expect_settled(const Deadline& deadline, const char* doing, Site at = Site::here());
  bool said_goodbye() noexcept;
  std::string place() const;

  std::shared_ptr<const Library> library_;
  ncclComm_t comm_ = nullptr;
  int rank_, size_;
  bool in_group_ = false;
};

}  // namespace lockstep::nccl
