// SPDX-License-Identifier: Apache-2.0
// A group of ranks and what it can do with tensors. A value: copies are the same group.
//
// Every operation is submitted to the communication stream of the group's device, behind all that
// the compute stream was given before, and returns a Work. All groups and backends of a rank share
// that one ordered queue: every rank must submit the operations of a group in the same order, and
// then no two groups can deadlock each other. A group of one rank is real: it answers at once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "collectives/options.hpp"
#include "collectives/reduce.hpp"
#include "collectives/work.hpp"
#include "runtime/context/mpi.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep {

class Backend;
class Context;
class Transport;
enum class Collective : std::uint8_t;

class Communicator {
 public:
  // All ranks of the job. Collective, as are all of these but dry(). On a dry device the group has
  // the ranks it would have, and moves nothing. A bad name in the options is a ConfigError.
  static Communicator world(const Context& context, Device& device,
                            const CommunicatorOptions& options = {});
  static Communicator over(MPI_Comm comm, Device& device, const CommunicatorOptions& options = {});
  static Communicator over(std::unique_ptr<Transport> net, Device& device,
                           const CommunicatorOptions& options = {});
  // One rank of a group of any size, on the dry device.
  static Communicator dry(Device& device, int size, int rank,
                          const CommunicatorOptions& options = {});

  int rank() const;
  int size() const;
  const std::string& name() const;  // "world", "data": for messages

  // The group of the ranks of equal colour, in the order of this group. `color_of(r)` must be the
  // same function on every rank. Collective; waits for what was submitted before.
  Communicator split(const std::string& name, const std::function<int(int rank)>& color_of) const;
  // Device memory that the backend moves best: for buckets and activations that travel.
  std::shared_ptr<void> allocate(std::size_t bytes) const;

  // A shard is this rank's near-equal block of the full tensor's elements (elements.hpp); it may
  // be a view of that very block, on every rank or on none.
  Work all_reduce(Tensor& data, ReduceOp op) const;  // in place
  Work reduce_scatter(Tensor& shard, const Tensor& full, ReduceOp op) const;
  Work all_gather(Tensor& full, const Tensor& shard) const;
  Work broadcast(Tensor& data, int root) const;
  Work send(const Tensor& data, int to) const;
  Work receive(Tensor& data, int from) const;
  Work barrier() const;

 private:
  struct Group;
  struct Call;
  Communicator(std::string name, Device& device, std::unique_ptr<Backend> backend);
  Work submit(const Call& call, std::function<void(Backend&)> body) const;
  void expect_shard(const Tensor& shard, const Tensor& full) const;

  std::shared_ptr<const Group> group_;
};

}  // namespace lockstep
