// SPDX-License-Identifier: Apache-2.0
// Who carries out the collectives of one group: one class, a handful of functions. Calls are
// blocking and come from one thread in program order (the communication stream). ReduceOp::average
// arrives as a sum: the communicator divides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "collectives/elements.hpp"
#include "collectives/reduce.hpp"

namespace lockstep {

class Device;

enum class Collective : std::uint8_t {
  all_reduce,
  reduce_scatter,
  all_gather,
  broadcast,
  send,
  receive,
  barrier
};

constexpr const char* name_of(Collective c) {
  constexpr const char* kNames[] = {"all_reduce", "reduce_scatter", "all_gather", "broadcast",
                                    "send",       "receive",        "barrier"};
  return kNames[static_cast<int>(c)];
}

class Backend {
 public:
  Backend() = default;
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  // What recordings call this choice: "native/ring", "mpi". Static storage. `bytes` of the full
  // vector.
  virtual const char* label(Collective what, std::size_t bytes) const = 0;

  virtual void all_reduce(const Elements& data, ReduceOp op) = 0;
  virtual void reduce_scatter(const Elements& shard, const Elements& full, ReduceOp op) = 0;
  virtual void all_gather(const Elements& full, const Elements& shard) = 0;
  virtual void broadcast(const Elements& data, int root) = 0;
  virtual void send(const Elements& data, int to) = 0;
  virtual void receive(const Elements& data, int from) = 0;
  virtual void barrier() = 0;

  // The group of the ranks r of equal colors[r], in the order of this group. Every rank knows all
  // colours, so that the dry backend, which has nobody to ask, can split too. Collective.
  virtual std::unique_ptr<Backend> split(const std::vector<int>& colors) = 0;
  // Memory that this backend moves best.
  virtual std::shared_ptr<void> allocate(Device& device, std::size_t bytes);
};

}  // namespace lockstep
