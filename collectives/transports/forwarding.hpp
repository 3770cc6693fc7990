// SPDX-License-Identifier: Apache-2.0
// A transport that passes everything on to another: the base of those that change one thing about
// it. All messages from then on pass through here, so that tickets differ by a constant.
#pragma once

#include <memory>

#include "collectives/transport.hpp"

namespace lockstep {

class ForwardingTransport : public Transport {
 public:
  explicit ForwardingTransport(Transport& inner) : inner_(inner) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  int node_of(int rank) const override { return inner_.node_of(rank); }
  void begin(const Call& call, const Deadline& deadline) override { inner_.begin(call, deadline); }

  void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op) override {
    inner_.combine(out, a, b, op);
  }
  void copy(const Elements& out, const Elements& in) override { inner_.copy(out, in); }
  void combine_all(std::span<const Elements> outs, std::span<const Elements> in,
                   ReduceOp op) override {
    inner_.combine_all(outs, in, op);
  }
  std::shared_ptr<std::byte> working_memory(std::size_t bytes) override {
    return inner_.working_memory(bytes);
  }
  SharedMemory* shared() override { return inner_.shared(); }
  std::unique_ptr<Transport> split(int color, int key) override { return inner_.split(color, key); }

 protected:
  void start_send(Ticket ticket, const Elements& data, int to) override {
    ahead_ = inner_.post_send(data, to) - ticket;
  }
  void start_receive(Ticket ticket, const Elements& data, int from) override {
    ahead_ = inner_.post_receive(data, from) - ticket;
  }
  void finish(Ticket up_to) override { inner_.complete(up_to + ahead_); }

 private:
  Transport& inner_;
  Ticket ahead_ = 0;
};

}  // namespace lockstep
