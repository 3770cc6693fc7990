// SPDX-License-Identifier: Apache-2.0
// What an algorithm is written against: point-to-point messages among the ranks of one group, and
// the local steps between them. Messages from one rank to another arrive in order. Both sides
// state the same number of elements; of zero elements no message is sent.
//
// combine and copy are members so that a transport can note them: the recording of all ranks is
// then the whole schedule.
#pragma once

#include <memory>
#include <vector>

#include "collectives/elements.hpp"
#include "collectives/reduce.hpp"

namespace lockstep {

class Transport {
 public:
  Transport() = default;
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Blocking: on return `data` may be reused, or holds the message. A peer that does not answer by
  // the deadline is a SystemError that names it.
  virtual void send(const Elements& data, int to) = 0;
  virtual void receive(const Elements& data, int from) = 0;
  // Both at the same time, so that a ring of exchanges cannot deadlock.
  virtual void exchange(const Elements& out, int to, const Elements& in, int from) = 0;

  virtual void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op);
  virtual void copy(const Elements& out, const Elements& in);  // nothing to do where out is in

  // A transport of the ranks of equal colour, ordered by key, then rank. Collective.
  virtual std::unique_ptr<Transport> split(int color, int key) = 0;

  // Working memory of one algorithm run; the next call takes it back. Kept, so that no run after
  // the largest faults a page.
  Elements scratch(std::size_t count, DType dtype);

 private:
  std::vector<std::byte> scratch_;
};

}  // namespace lockstep
