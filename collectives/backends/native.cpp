// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/native.hpp"

#include <utility>

#include "collectives/transports/mpi.hpp"

namespace lockstep::native {

namespace {

class NativeBackend : public Backend {
 public:
  NativeBackend(std::unique_ptr<Transport> net, CommunicatorOptions options)
      : net_(std::move(net)),
        options_(std::move(options)),
        selector_(options_.algorithm, net_->size()) {}

  int rank() const override { return net_->rank(); }
  int size() const override { return net_->size(); }
  const char* label(Collective what, std::size_t bytes) const override {
    return native::label(selector_, what, bytes);
  }

  void all_reduce(const Elements& data, ReduceOp op) override {
    choose(kAllReduceAlgorithms, data).run(*net_, data, op);
  }
  void reduce_scatter(const Elements& shard, const Elements& full, ReduceOp op) override {
    choose(kReduceScatterAlgorithms, full).run(*net_, shard, full, op);
  }
  void all_gather(const Elements& full, const Elements& shard) override {
    choose(kAllGatherAlgorithms, full).run(*net_, full, shard);
  }
  void broadcast(const Elements& data, int root) override {
    choose(kBroadcastAlgorithms, data).run(*net_, data, root);
  }
  void send(const Elements& data, int to) override { net_->send(data, to); }
  void receive(const Elements& data, int from) override { net_->receive(data, from); }
  void barrier() override { choose(kBarrierAlgorithms, {}).run(*net_); }

  std::unique_ptr<Backend> split(const std::vector<int>& colors) override {
    const int color = colors[static_cast<std::size_t>(rank())];
    return make(net_->split(color, rank()), options_);
  }

 private:
  template <class Run, std::size_t N>
  const Algorithm<Run>& choose(const Algorithm<Run> (&table)[N], const Elements& full) const {
    return selector_.choose(table, static_cast<double>(full.bytes()));
  }

  std::unique_ptr<Transport> net_;
  CommunicatorOptions options_;
  Selector selector_;
};

}  // namespace

std::unique_ptr<Backend> make(MPI_Comm comm, const CommunicatorOptions& options) {
  return make(make_mpi_transport(comm, options.timeout_seconds), options);
}

std::unique_ptr<Backend> make(std::unique_ptr<Transport> net, const CommunicatorOptions& options) {
  return std::make_unique<NativeBackend>(std::move(net), options);
}

const char* label(const Selector& selector, Collective what, std::size_t bytes) {
  const auto n = static_cast<double>(bytes);
  switch (what) {
    case Collective::all_reduce:
      return selector.choose(kAllReduceAlgorithms, n).label;
    case Collective::reduce_scatter:
      return selector.choose(kReduceScatterAlgorithms, n).label;
    case Collective::all_gather:
      return selector.choose(kAllGatherAlgorithms, n).label;
    case Collective::broadcast:
      return selector.choose(kBroadcastAlgorithms, n).label;
    case Collective::barrier:
      return selector.choose(kBarrierAlgorithms, n).label;
    case Collective::send:
    case Collective::receive:
      break;
  }
  return "native";
}

}  // namespace lockstep::native
