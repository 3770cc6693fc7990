// SPDX-License-Identifier: Apache-2.0
// Our algorithms on GPUs: messages are NCCL's send and receive, the local steps kernels, all on one
// stream, so that an algorithm only launches, and end() leaves all of it under way.
//
// A complete() launches, as one group, all up to its ticket and the sends behind it, up to the next
// receive: NCCL moves these messages at the same time, and later groups follow on the stream. A
// group ends when all of it has, so what is received ahead is left for a later one: it may wait for
// what this rank does behind the group. And a send that is left behind would hold up its receiver
// (the double tree deadlocks either way).
#include <algorithm>
#include <utility>
#include <vector>

#include "collectives/backends/nccl/nccl.hpp"
#include "collectives/backends/nccl/place.hpp"
#include "collectives/backends/nccl/reduce.hpp"
#include "collectives/backends/nccl/session.hpp"
#include "collectives/transports/nodes.hpp"
#include "collectives/wait_errors.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/device/device.hpp"

namespace lockstep::nccl {

namespace {

class NcclTransport : public Transport {
 public:
  NcclTransport(CommHandle control, std::shared_ptr<Comm> comm, Device& device,
                double timeout_seconds)
      : control_(std::move(control)),
        nodes_(nodes_of(control_.get())),
        timeout_seconds_(timeout_seconds),
        session_(std::move(comm), device) {
    check_mpi(MPI_Comm_rank(control_.get(), &rank_));
  }

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(nodes_.size()); }
  int node_of(int rank) const override { return nodes_[static_cast<std::size_t>(rank)]; }

  void begin(const Call& call, const Deadline& deadline) override {
    Transport::begin(call, deadline);
    session_.begin(deadline);
  }

  void end(const Call& call) override {
    if (call.what != Collective::reduce || rank_ == call.root)
      nccl::finish(call.out, call.op, size(), session_.queue());
    session_.end(is_message(call.what) ? "waiting for " + messages_text({&call, 1})
                                       : "waiting for all ranks of the group");
  }

  bool launches() const override { return true; }
  std::unique_ptr<UnderWay> take_under_way() override { return session_.take_under_way(); }
  void launch_into(Stream& stream) override { session_.launch_into(stream); }

  void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op) override {
    nccl::combine(out, a, b, op, session_.queue());
  }
  void copy(const Elements& out, const Elements& in) override { session_.copy(out, in); }
  void combine_all(std::span<const Elements> outs, std::span<const Elements> in,
                   ReduceOp op) override {
    expect(outs.size() == 1 && outs[0].data != in.back().data, "a sum of many, on a GPU");
    copy(outs[0], in[0]);
    for (const Elements& next : in.subspan(1))
      combine(outs[0], outs[0], next, op);
  }

  std::shared_ptr<std::byte> working_memory(std::size_t bytes) override {
    return session_.memory(bytes);
  }
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    if (size() == 1 || bytes == 0) return nullptr;
    session_.enter();
    return Comm::allocate(session_.comm(), bytes);
  }

  std::unique_ptr<Transport> split(int color, int key) override {
    CommHandle part = lockstep::split(control_.get(), color, key);
    int size = 1;
    check_mpi(MPI_Comm_size(part.get(), &size));
    auto comm = session_.split(size == 1 ? Comm::kAlone : color, key, {now() + timeout_seconds_});
    return std::make_unique<NcclTransport>(std::move(part), std::move(comm), session_.device(),
                                           timeout_seconds_);
  }

 protected:
  void start_send(Ticket ticket, const Elements& data, int to) override {
    posted_.push_back({ticket, send_call(data, to)});
  }
  void start_receive(Ticket ticket, const Elements& data, int from) override {
    posted_.push_back({ticket, receive_call(data, from)});
  }

  void finish(Ticket up_to) override {
    const auto later = std::find_if(posted_.begin(), posted_.end(), [&](const Posted& p) {
      return p.ticket > up_to && p.message.what == Collective::receive;
    });
    if (later == posted_.begin()) return;  // launched before
    session_.group([&] {
      for (auto p = posted_.begin(); p != later; ++p) {
        const Call& m = p->message;
        m.what == Collective::send ? session_.send(m.in, m.root) : session_.receive(m.out, m.root);
      }
    });
    posted_.erase(posted_.begin(), later);
  }

 private:
  struct Posted {
    Ticket ticket;
    Call message;
  };

  CommHandle control_;  // the same ranks
  std::vector<int> nodes_;
  int rank_ = 0;
  double timeout_seconds_;
  Session session_;
  std::vector<Posted> posted_;  // and not launched, oldest first
};

}  // namespace

std::unique_ptr<Transport> make_transport(MPI_Comm comm, Device& device,
                                          const CommunicatorOptions& options) {
  return std::make_unique<NcclTransport>(duplicate(comm), connect(comm, options.timeout_seconds),
                                         device, options.timeout_seconds);
}

}  // namespace lockstep::nccl
