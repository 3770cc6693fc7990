// SPDX-License-Identifier: Apache-2.0
// A group of ranks and what it can do with tensors. A value: copies are the same group.
//
// Every operation is submitted to the communication stream of the group's device, behind all that
// the compute stream was given before, and returns a Work. All groups and backends of a rank share
// one order: every rank must submit the operations of a group in the same order, and then no two
// groups can deadlock each other. On the cpu that order is one queue. On a GPU it is the order of
// launches; what is launched goes into the lane of the group's name, an axis of the mesh, and waits
// for no other lane. A group of one rank is real: it answers at once.
//
// A rank that does not come by collectives.timeout_seconds, or that calls something else, is a
// SystemError that names it, thrown by wait(): a VerdictError of the flight recorder, which world()
// makes. The job must end then: MPI may still be at work on what was given up.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "collectives/call.hpp"
#include "collectives/options.hpp"
#include "collectives/work.hpp"
#include "runtime/context/mpi.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep {

class Backend;
class Context;
class FlightRecorder;
class ProcessGroup;
class Transport;

// One of the messages that go on at the same time.
struct Transfer {
  enum class Direction : std::uint8_t { send, receive };
  Direction direction;
  Tensor data;
  int peer;
};

class Communicator {
 public:
  // All ranks of the job. Collective, as are all of these but dry() and alone(). On a dry device
  // the group has the ranks it would have, and moves nothing. A bad name in the options is a
  // ConfigError.
  static Communicator world(const Context& context, Device& device,
                            const CommunicatorOptions& options = {});
  static Communicator over(MPI_Comm comm, Device& device, const CommunicatorOptions& options = {});
  static Communicator over(std::unique_ptr<Transport> net, Device& device,
                           const CommunicatorOptions& options = {},
                           std::shared_ptr<FlightRecorder> recorder = nullptr);
  // One rank of a group of any size, on the dry device. Neighbours share a node; 0 for as many as
  // nodes may have.
  static Communicator dry(Device& device, int size, int rank,
                          const CommunicatorOptions& options = {}, int ranks_per_node = 0);
  // The group of this rank alone, without MPI.
  static Communicator alone(Device& device);

  int rank() const;
  int size() const;
  const std::string& name() const;  // "world", "data": for messages

  // The group of the ranks of equal colour, in the order of this group. `color_of(r)` must be the
  // same function on every rank. Collective; waits for what was submitted before.
  Communicator split(const std::string& name, const std::function<int(int rank)>& color_of) const;
  // Device memory that the backend moves best, for buckets and activations that travel: shared
  // among the ranks of a node. Use it on all ranks of the group or on none. Collective.
  std::shared_ptr<void> allocate(std::size_t bytes) const;
  // Who serves the calls, and at what price.
  const Backend& backend() const;

  // Flat views: shapes do not matter, counts and types do. n elements of the full tensor; a shard
  // is this rank's block of them: near-equal (blocks.hpp), or as `blocks` says, the same on every
  // rank. Where input and output have the same size they may be the same tensor, and a shard may be
  // a view of its own block, on every rank or on none.
  Work all_reduce(Tensor& data, ReduceOp op) const;  // in place
  Work all_reduce(Tensor& result, const Tensor& data, ReduceOp op) const;
  Work reduce_scatter(Tensor& shard, const Tensor& full, ReduceOp op) const;
  Work reduce_scatter(Tensor& shard, const Tensor& full, ReduceOp op, const Blocks& blocks) const;
  Work all_gather(Tensor& full, const Tensor& shard) const;
  Work all_gather(Tensor& full, const Tensor& shard, const Blocks& blocks) const;
  Work broadcast(Tensor& data, int root) const;
  // `result` is written on the root only. It may be empty elsewhere, and so may `full` below.
  Work reduce(Tensor& result, const Tensor& data, ReduceOp op, int root) const;
  Work gather(Tensor& full, const Tensor& shard, int root, const Blocks& blocks) const;
  Work scatter(Tensor& shard, const Tensor& full, int root, const Blocks& blocks) const;
  // Block r of `in` goes to rank r, block r of `out` comes from it; p divides the count. Not in
  // place.
  Work all_to_all(Tensor& out, const Tensor& in) const;
  // A sender may have to wait for the receiver, and the queue waits with it: messages that cross
  // belong in one transfer().
  Work send(const Tensor& data, int to) const;
  Work receive(Tensor& data, int from) const;
  Work transfer(const std::vector<Transfer>& transfers) const;
  Work barrier() const;
  // A local step of this rank in its place among the operations, such as packing what the next one
  // sends: `count` elements, bytes as recorded. The body owns (copies of) the tensors it uses.
  Work run(const char* name, std::int64_t count, double bytes_read, double bytes_written,
           std::function<void()> body) const;
  // The same by kernels, which `submit` gives to the stream of this group.
  Work local_step(const std::function<void(Stream& queue)>& submit) const;

 private:
  explicit Communicator(std::shared_ptr<ProcessGroup> group);
  Work submit(Call call, const Tensor& out, const Tensor& in) const;

  std::shared_ptr<ProcessGroup> group_;
};

}  // namespace lockstep
