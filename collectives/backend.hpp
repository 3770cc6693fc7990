// SPDX-License-Identifier: Apache-2.0
// Who carries out the collectives of one group: one class, a handful of functions. Calls are
// blocking and come from one thread at a time, in program order (the communication stream).
// ReduceOp::average arrives as it is and is treated as a sum: the communicator divides. It cannot
// where the elements are a GPU's: there the backend does, too (backends/gpu.hpp).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "collectives/call.hpp"
#include "collectives/deadline.hpp"
#include "collectives/links.hpp"
#include "runtime/device/under_way.hpp"

namespace lockstep {

class Device;
class Stream;
struct Algorithm;

// How a call is served.
struct Choice {
  const char* label = "";                // "native/ring", "mpi": static storage
  const Algorithm* algorithm = nullptr;  // null: the backend's own way
  double seconds = 0;                    // what that is expected to take; 0: not known
};

class Backend {
 public:
  Backend() = default;
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual GroupShape shape() const = 0;
  virtual Links links() const { return {}; }  // the constants behind its prices

  // All ways to serve the call, as they are priced, cheapest first. Depends only on what all ranks
  // know alike, and needs no elements.
  virtual std::vector<Choice> candidates(const Call& call) const = 0;
  // The first of these, or the one that was asked for by name.
  virtual Choice choose(const Call& call) const = 0;

  // Device work goes into this stream from now on.
  virtual void launch_into(Stream&) {}
  // Returns when the call is complete on this rank, or has left the rest of it under way on a GPU.
  // A DeadlineError after the deadline. Not for messages:
  virtual void run(const Call& call, const Choice& choice, const Deadline& deadline) = 0;
  // Sends and receives that go on at the same time.
  virtual void transfer(std::span<const Call> messages, const Deadline& deadline) = 0;
  // What the last call has left under way; null: nothing. Its patience is that of the call.
  virtual std::unique_ptr<UnderWay> take_under_way() { return nullptr; }

  // The group of the ranks r of equal colors[r], in the order of this group. Every rank knows all
  // colours, so that the dry backend, which has nobody to ask, can split too. Collective.
  virtual std::unique_ptr<Backend> split(const std::vector<int>& colors) = 0;
  // Memory that this backend moves best. Collective.
  virtual std::shared_ptr<void> allocate(Device& device, std::size_t bytes);
  // Whether all of `data` is memory from allocate() that all ranks see.
  virtual bool owns(const Elements& data) const;
};

}  // namespace lockstep
