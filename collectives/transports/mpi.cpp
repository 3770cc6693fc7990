// SPDX-License-Identifier: Apache-2.0
#include "collectives/transports/mpi.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "collectives/mpi_requests.hpp"
#include "collectives/transports/nodes.hpp"
#include "collectives/transports/processes.hpp"
#include "collectives/transports/shared.hpp"
#include "collectives/wait_errors.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kLargestMessage = std::size_t{1} << 30;  // MPI counts are ints

class MpiTransport : public Transport {
 public:
  explicit MpiTransport(CommHandle comm) : comm_(std::move(comm)), nodes_(nodes_of(comm_.get())) {
    check_mpi(MPI_Comm_rank(comm_.get(), &rank_));
    check_mpi(MPI_Comm_size(comm_.get(), &size_));
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int node_of(int rank) const override { return nodes_[static_cast<std::size_t>(rank)]; }

  // Shared among the ranks of each node.
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    return several_nodes_of_several() ? inside().allocate(bytes) : nullptr;
  }
  bool owns(const Elements& data) const override { return node_ && node_->owns(data); }

  std::unique_ptr<Transport> split(int color, int key) override {
    return make_transport(lockstep::split(comm_.get(), color, key));
  }

 protected:
  void start_send(Ticket ticket, const Elements& data, int to) override {
    for_each_message(data, [&](std::byte* at, int bytes) {
      MPI_Request request = MPI_REQUEST_NULL;
      check_mpi(MPI_Isend(at, bytes, MPI_BYTE, to, tag_of(fingerprint_), comm_.get(), &request));
      open(ticket, request, bytes, to, Direction::out);
    });
  }

  void start_receive(Ticket ticket, const Elements& data, int from) override {
    for_each_message(data, [&](std::byte* at, int bytes) {
      MPI_Request request = MPI_REQUEST_NULL;
      check_mpi(MPI_Irecv(at, bytes, MPI_BYTE, from, tag_of(fingerprint_), comm_.get(), &request));
      open(ticket, request, bytes, from, Direction::in);
    });
  }

  void finish(Ticket up_to) override {
    const auto later = std::find_if(messages_.begin(), messages_.end(),
                                    [&](const Message& m) { return m.ticket > up_to; });
    const auto n = later - messages_.begin();
    await(std::span(requests_).first(static_cast<std::size_t>(n)));
    for (std::ptrdiff_t i = 0; i < n; ++i)
      check_size(messages_[static_cast<std::size_t>(i)], statuses_[static_cast<std::size_t>(i)]);
    messages_.erase(messages_.begin(), later);
    requests_.erase(requests_.begin(), requests_.begin() + n);
  }

  // They share memory, if it fits. Collective over the whole.
  std::unique_ptr<Transport> node_group(std::vector<int> ranks) override {
    if (!several_nodes_of_several()) return Transport::node_group(std::move(ranks));
    auto node = make_shared_transport(
        make_process_space(lockstep::split(comm_.get(), node_of(rank_), rank_), comm_.get()));
    node_ = node.get();
    return node;
  }

 private:
  enum class Direction : std::uint8_t { out, in };
  struct Message {
    Ticket ticket;
    int bytes, peer;
    Direction direction;
  };

  bool several_nodes_of_several() const {
    const std::set<int> nodes(nodes_.begin(), nodes_.end());
    return nodes.size() > 1 && nodes.size() < nodes_.size();
  }

  template <class Post>
  static void for_each_message(const Elements& data, Post post) {
    for (std::size_t begin = 0; begin < data.bytes(); begin += kLargestMessage) {
      post(data.data + begin, static_cast<int>(std::min(kLargestMessage, data.bytes() - begin)));
    }
  }

  void open(Ticket ticket, MPI_Request request, int bytes, int peer, Direction direction) {
    messages_.push_back({ticket, bytes, peer, direction});
    requests_.push_back(request);
  }

  // A longer message is an error of MPI already.
  static void check_size(const Message& message, const MPI_Status& status) {
    if (message.direction == Direction::out) return;
    int received = 0;
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &received));
    expect_message(static_cast<std::size_t>(received), static_cast<std::size_t>(message.bytes),
                   message.peer);
  }

  void await(std::span<MPI_Request> requests) {
    bool in_time = false;
    try {
      in_time = wait_all(requests, statuses_, deadline_);
    } catch (...) {
      give_up();
      throw;
    }
    if (!in_time) throw_timeout(give_up());
  }

  // The job is about to end. A receive is taken back, so that no late message is written into
  // memory that the caller frees; a send only reads. Returns what was under way.
  std::string give_up() {
    std::string doing;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      const Message& m = messages_[i];
      const auto bytes = static_cast<std::size_t>(m.bytes);
      doing += (doing.empty() ? "" : " and ") +
               (m.direction == Direction::in ? receiving(bytes, m.peer) : sending(bytes, m.peer));
      if (m.direction == Direction::in) MPI_Cancel(&requests_[i]);
      MPI_Request_free(&requests_[i]);
    }
    messages_.clear();
    requests_.clear();
    return doing;
  }

  CommHandle comm_;
  std::vector<int> nodes_;
  int rank_ = 0, size_ = 1;
  const Transport* node_ = nullptr;    // inside(), where it shares memory
  std::vector<Message> messages_;      // that are posted and not complete, oldest first
  std::vector<MPI_Request> requests_;  // of each of these
  std::vector<MPI_Status> statuses_;
};

}  // namespace

std::unique_ptr<Transport> make_mpi_transport(CommHandle comm) {
  return std::make_unique<MpiTransport>(std::move(comm));
}

std::unique_ptr<Transport> make_transport(CommHandle comm) {
  const std::vector<int> nodes = nodes_of(comm.get());
  const bool one_node = std::count(nodes.begin(), nodes.end(), 0) == std::ssize(nodes);
  if (one_node) return make_shared_transport(make_process_space(std::move(comm)));
  return make_mpi_transport(std::move(comm));
}

}  // namespace lockstep
