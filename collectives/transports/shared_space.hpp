// SPDX-License-Identifier: Apache-2.0
// How the ranks of a shared transport come by common memory and into each other's private memory.
// Two ways: processes of one node (POSIX shared memory, and process_vm_readv where the system
// permits it), and threads of one process (tests).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "collectives/backoff.hpp"
#include "collectives/transport.hpp"

namespace lockstep {

class SharedSpace {
 public:
  SharedSpace() = default;
  virtual ~SharedSpace() = default;
  SharedSpace(const SharedSpace&) = delete;
  SharedSpace& operator=(const SharedSpace&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual Crowding crowding() const = 0;

  // Zeroed memory that all ranks see; null on every rank where it does not fit. Collective.
  virtual std::shared_ptr<std::byte> map(std::size_t bytes) = 0;

  // Whether read() works between all ranks.
  virtual bool can_read() const = 0;
  // Copies from the private memory of another rank.
  virtual void read(std::byte* to, int rank, std::uint64_t address, std::size_t bytes) const = 0;

  // One rank, which needs no segment to share, and need not agree with other nodes.
  virtual bool alone() const { return false; }
  // Messages without shared memory, where there are such; null otherwise. Collective.
  virtual std::unique_ptr<Transport> messages() const { return nullptr; }

  // The ranks of equal colour, ordered by key, then rank. Collective.
  virtual std::unique_ptr<SharedSpace> split(int color, int key) = 0;
};

}  // namespace lockstep
