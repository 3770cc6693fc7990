// SPDX-License-Identifier: Apache-2.0
// What an algorithm is written against: messages among the ranks of one group, the local steps
// between them, and, where the ranks share one, memory.
//
// Algorithms touch elements only through these functions and never look at a value, so a transport
// may note them instead: the recording of all ranks is then the whole schedule (record.hpp).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "collectives/call.hpp"
#include "collectives/deadline.hpp"
#include "collectives/links.hpp"
#include "collectives/shared_memory.hpp"
#include "runtime/device/under_way.hpp"

namespace lockstep {

class Stream;

// Messages of one transport are numbered as they are posted.
using Ticket = std::uint64_t;

class Transport {
 public:
  Transport();
  virtual ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Nodes are numbered from 0 in the order of their lowest rank.
  virtual int node_of(int rank) const;
  GroupShape shape();  // collective the first time, as inside() is

  // Called before each operation: what it is, and until when it must be complete.
  // Messages of operations that differ are kept apart or refused, never mixed up.
  virtual void begin(const Call& call, const Deadline& deadline);
  // Called after each operation. Where the steps before were only launched, on a GPU, it has
  // divided an average, and take_under_way() is what is under way now.
  virtual void end(const Call&) {}
  // Whether steps are only launched.
  virtual bool launches() const { return false; }
  virtual std::unique_ptr<UnderWay> take_under_way() { return nullptr; }
  virtual void launch_into(Stream&) {}  // device work, from now on

  // Messages. Posting returns at once; complete() waits for all up to a ticket: `data` may then be
  // reused, or holds the message. From one rank to another they match in the order of posting, and
  // both sides state the same number of elements; of zero elements no message is sent. A sender may
  // have to wait until the receive is posted. A peer that does not come by the deadline is a
  // DeadlineError that names it.
  Ticket post_send(const Elements& data, int to);
  Ticket post_receive(const Elements& data, int from);
  void complete(Ticket up_to) { finish(up_to); }
  void complete() { finish(posted_); }

  void send(const Elements& data, int to);
  void receive(const Elements& data, int from);
  // Both at the same time, so that a ring of exchanges cannot deadlock.
  void exchange(const Elements& out, int to, const Elements& in, int from);

  // Local steps. out = a (op) b; out may be a or b. `copy` has nothing to do where out is in; one
  // of them may be the host's memory, which stays until end().
  virtual void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op);
  virtual void copy(const Elements& out, const Elements& in);
  // Every one of outs = in[0] (op) in[1] (op) ..., from left to right, read once; an out may be
  // one of the inputs.
  virtual void combine_all(std::span<const Elements> outs, std::span<const Elements> in,
                           ReduceOp op);

  // Working memory of one algorithm run; the next call takes it back. Kept, so that no run after
  // the largest faults a page.
  Elements scratch(std::size_t count, DType dtype);
  // Where scratch comes from: memory of at least `bytes`, for this transport's lifetime.
  virtual std::shared_ptr<std::byte> working_memory(std::size_t bytes);

  // Null unless the ranks can address each other's memory.
  virtual SharedMemory* shared() { return nullptr; }

  // The ranks of this node, and the ranks that have this rank's place on theirs: what hierarchical
  // algorithms work on. Made when first asked for; both collective then. Operations on them belong
  // to the operation that has begun on the whole.
  Transport& inside();
  Transport& across();

  // This rank's part of memory that the ranks of a node address in common; null where there is none
  // or it does not fit (the same answer on every rank). Collective.
  virtual std::shared_ptr<std::byte> allocate(std::size_t bytes);
  // Whether all of `data` lies in memory from allocate().
  virtual bool owns(const Elements& data) const;

  // A transport of the ranks of equal colour, ordered by key, then rank. Collective.
  virtual std::unique_ptr<Transport> split(int color, int key) = 0;

 protected:
  virtual void start_send(Ticket ticket, const Elements& data, int to) = 0;
  virtual void start_receive(Ticket ticket, const Elements& data, int from) = 0;
  virtual void finish(Ticket up_to) = 0;
  // The group for inside(), of `ranks` of this transport (ascending, this one among them).
  // Collective.
  virtual std::unique_ptr<Transport> node_group(std::vector<int> ranks);

  std::uint64_t fingerprint_ = 0;  // of the operation that has begun
  Deadline deadline_;

 private:
  Transport& now_in(Transport& part) const;

  Ticket posted_ = 0;
  std::shared_ptr<std::byte> scratch_;
  std::size_t scratch_bytes_ = 0;
  std::unique_ptr<Transport> inside_, across_;
};

}  // namespace lockstep
