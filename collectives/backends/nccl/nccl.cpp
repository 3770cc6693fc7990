// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/nccl/nccl.hpp"

#include <algorithm>
#include <utility>

#include "collectives/backends/nccl/comm.hpp"
#include "collectives/backends/nccl/place.hpp"
#include "collectives/backends/nccl/reduce.hpp"
#include "collectives/backends/nccl/session.hpp"
#include "collectives/select.hpp"
#include "collectives/transports/nodes.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/device/device.hpp"

namespace lockstep::nccl {

namespace {

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return ncclFloat32;
    case DType::float64:
      return ncclFloat64;
    case DType::bfloat16:
      return ncclBfloat16;
    case DType::float16:
      return ncclFloat16;
    case DType::int32:
      return ncclInt32;
    case DType::int64:
      return ncclInt64;
    case DType::uint8:
      return ncclUint8;
  }
  throw LogicError("no such type");
}

// NCCL's own average multiplies every contribution by a rounded 1/p: ours divides the sum once.
ncclRedOp_t op_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
    case ReduceOp::average:
      return ncclSum;
    case ReduceOp::product:
      return ncclProd;
    case ReduceOp::min:
      return ncclMin;
    case ReduceOp::max:
      return ncclMax;
  }
  throw LogicError("no such reduction");
}

bool is_even(const Blocks& blocks) {
  const std::size_t count = blocks[0].count;
  for (int i = 1; i < blocks.size(); ++i) {
    if (blocks[i].count != count) return false;
  }
  return true;
}

class NcclBackend : public Backend {
 public:
  NcclBackend(std::shared_ptr<Comm> comm, Device& device, int rank, std::vector<int> nodes,
              CommunicatorOptions options)
      : rank_(rank),
        nodes_(std::move(nodes)),
        options_(std::move(options)),
        session_(std::move(comm), device) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(nodes_.size()); }
  GroupShape shape() const override { return shape_of(nodes_); }
  std::vector<Choice> candidates(const Call& call) const override { return {choose(call)}; }
  Choice choose(const Call&) const override { return {.label = "nccl"}; }
  void launch_into(Stream& stream) override { session_.launch_into(stream); }
  std::unique_ptr<UnderWay> take_under_way() override { return session_.take_under_way(); }

  void run(const Call& call, const Choice&, const Deadline& deadline) override {
    session_.begin(deadline);
    if (size() == 1) {
      session_.copy(call.out, call.in);
    } else if (call.what == Collective::barrier || call.count() > 0) {
      launch(call);
    }
    if (call.what != Collective::reduce || rank_ == call.root)
      nccl::finish(call.out, call.op, size(), session_.queue());
    session_.end("waiting for all ranks of the group");
  }

  void transfer(std::span<const Call> messages, const Deadline& deadline) override {
    session_.begin(deadline);
    session_.group([&] {
      for (const Call& m : messages) {
        if (m.count() == 0) continue;
        m.what == Collective::send ? send(m.in, m.root) : receive(m.out, m.root);
      }
    });
    session_.end("waiting for " + messages_text(messages));
  }

  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    const int color = colors[static_cast<std::size_t>(rank_)];
    const auto place = std::count(colors.begin(), colors.begin() + rank_, color);
    auto nodes = nodes_of_part(nodes_, colors, rank_);
    auto part = session_.split(nodes.size() == 1 ? Comm::kAlone : color, rank_,
                               {now() + options_.timeout_seconds});
    return std::make_unique<NcclBackend>(std::move(part), session_.device(),
                                         static_cast<int>(place), std::move(nodes), options_);
  }

  std::shared_ptr<void> allocate(Device& device, std::size_t bytes) override {
    if (size() == 1 || bytes == 0) return device.allocate(bytes);
    session_.enter();
    return device.adopt(Comm::allocate(session_.comm(), bytes), bytes);
  }

 private:
  // One launch. What NCCL has no operation for is a group of those that it has.
  void launch(const Call& call) {
    if (call.what == Collective::gather && rank_ == call.root)
      session_.copy(call.block(call.out, rank_), call.in);
    if (call.what == Collective::scatter && rank_ == call.root)
      session_.copy(call.out, call.block(call.in, rank_));
    if (call.what == Collective::all_to_all)
      session_.copy(call.block(call.out, rank_), call.block(call.in, rank_));
    session_.group([&] { enqueue(call); });
  }

  void enqueue(const Call& call) {
    const Library& nccl = session_.library();
    const ncclComm_t comm = session_.comm()->get();
    const cudaStream_t stream = session_.stream();
    const ncclDataType_t type = type_of(call.dtype);
    const ncclRedOp_t op = op_of(call.op);
    const std::size_t n = call.count();
    switch (call.what) {
      case Collective::all_reduce:
        return check(nccl.all_reduce(call.in.data, call.out.data, n, type, op, comm, stream));
      case Collective::reduce_scatter:
        if (!is_even(call.blocks)) return reduce_each(call);
        return check(nccl.reduce_scatter(call.in.data, call.out.data, call.blocks[0].count, type,
                                         op, comm, stream));
      case Collective::all_gather:
        if (!is_even(call.blocks)) return broadcast_each(call);
        return check(
            nccl.all_gather(call.in.data, call.out.data, call.blocks[0].count, type, comm, stream));
      case Collective::broadcast:
        return broadcast(call.out, call.out, call.root);
      case Collective::reduce:
        return reduce(call.out, call.in, call.op, call.root);
      case Collective::all_to_all:
        return exchange_all(call);
      case Collective::gather:
        return rank_ == call.root ? receive_each(call) : send(call.in, call.root);
      case Collective::scatter:
        return rank_ == call.root ? send_each(call) : receive(call.out, call.root);
      case Collective::barrier: {
        std::byte* const word = session_.word();
        return check(nccl.all_reduce(word, word, 1, ncclUint8, ncclMax, comm, stream));
      }
      case Collective::send:
      case Collective::receive:
        break;
    }
    throw LogicError("messages are not collectives");
  }

  void reduce_each(const Call& call) {
    for (int r = 0; r < size(); ++r) {
      const Elements block = call.block(call.in, r);
      if (block.count > 0) reduce(r == rank_ ? call.out : block, block, call.op, r);
    }
  }
  void broadcast_each(const Call& call) {
    for (int r = 0; r < size(); ++r) {
      const Elements block = call.block(call.out, r);
      if (block.count > 0) broadcast(block, r == rank_ ? call.in : block, r);
    }
  }
  void exchange_all(const Call& call) {
    for (int r = 0; r < size(); ++r) {
      if (r == rank_) continue;
      send(call.block(call.in, r), r);
      receive(call.block(call.out, r), r);
    }
  }
  void receive_each(const Call& call) {
    for (int r = 0; r < size(); ++r) {
      if (r != rank_) receive(call.block(call.out, r), r);
    }
  }
  void send_each(const Call& call) {
    for (int r = 0; r < size(); ++r) {
      if (r != rank_) send(call.block(call.in, r), r);
    }
  }

  void reduce(const Elements& out, const Elements& in, ReduceOp op, int root) {
    check(session_.library().reduce(in.data, out.data, in.count, type_of(in.dtype), op_of(op), root,
                                    session_.comm()->get(), session_.stream()));
  }
  void broadcast(const Elements& out, const Elements& in, int root) {
    check(session_.library().broadcast(in.data, out.data, out.count, type_of(out.dtype), root,
                                       session_.comm()->get(), session_.stream()));
  }
  void send(const Elements& data, int to) { session_.send(data, to); }
  void receive(const Elements& data, int from) { session_.receive(data, from); }
  void check(ncclResult_t code, Site at = Site::here()) { session_.comm()->check(code, at); }

  int rank_;
  std::vector<int> nodes_;  // of each rank
  CommunicatorOptions options_;
  Session session_;
};

}  // namespace

std::unique_ptr<Backend> make(MPI_Comm comm, Device& device, const CommunicatorOptions& options) {
  check_names(options);  // it looks at none of them, but a wrong one is a mistake in any case
  int rank = 0;
  check_mpi(MPI_Comm_rank(comm, &rank));
  return std::make_unique<NcclBackend>(connect(comm, options.timeout_seconds), device, rank,
                                       nodes_of(comm), options);
}

}  // namespace lockstep::nccl
