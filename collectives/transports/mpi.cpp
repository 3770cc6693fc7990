// SPDX-License-Identifier: Apache-2.0
#include "collectives/transports/mpi.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "collectives/mpi_requests.hpp"
#include "collectives/wait_errors.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kLargestMessage = std::size_t{1} << 30;  // MPI counts are ints
constexpr int kTag = 0;

class MpiTransport : public Transport {
 public:
  MpiTransport(CommHandle comm, double timeout_seconds)
      : comm_(std::move(comm)), timeout_(timeout_seconds) {
    check_mpi(MPI_Comm_rank(comm_.get(), &rank_));
    check_mpi(MPI_Comm_size(comm_.get(), &size_));
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void send(const Elements& data, int to) override {
    post_send(data, to);
    if (!complete()) fail(sending(data.bytes(), to));
  }

  void receive(const Elements& data, int from) override {
    post_receive(data, from);
    if (!complete()) fail(receiving(data.bytes(), from));
  }

  void exchange(const Elements& out, int to, const Elements& in, int from) override {
    post_receive(in, from);
    post_send(out, to);
    if (!complete()) {
      fail(sending(out.bytes(), to) + " and " + receiving(in.bytes(), from));
    }
  }

  std::unique_ptr<Transport> split(int color, int key) override {
    return std::make_unique<MpiTransport>(lockstep::split(comm_.get(), color, key), timeout_);
  }

 private:
  void post_send(const Elements& data, int to) {
    for_each_message(data, [&](std::byte* at, int bytes, MPI_Request* request) {
      check_mpi(MPI_Isend(at, bytes, MPI_BYTE, to, kTag, comm_.get(), request));
    });
  }

  void post_receive(const Elements& data, int from) {
    for_each_message(data, [&](std::byte* at, int bytes, MPI_Request* request) {
      check_mpi(MPI_Irecv(at, bytes, MPI_BYTE, from, kTag, comm_.get(), request));
      expected_.push_back(bytes);
    });
  }

  template <class Post>
  void for_each_message(const Elements& data, Post post) {
    for (std::size_t begin = 0; begin < data.bytes(); begin += kLargestMessage) {
      requests_.push_back(MPI_REQUEST_NULL);
      post(data.data + begin, static_cast<int>(std::min(kLargestMessage, data.bytes() - begin)),
           &requests_.back());
    }
  }

  bool complete() {
    if (!wait_all(requests_, statuses_, timeout_)) return false;
    for (std::size_t i = 0; i < expected_.size(); ++i)
      check_size(statuses_[i], expected_[i]);
    forget();
    return true;
  }

  // A longer message is an error of MPI already.
  static void check_size(const MPI_Status& status, int expected) {
    int received = 0;
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &received));
    expect_message(static_cast<std::size_t>(received), static_cast<std::size_t>(expected),
                   status.MPI_SOURCE);
  }

  void forget() {
    requests_.clear();
    expected_.clear();
  }

  // The job is about to end. A receive is taken back, so that no late message is written into
  // memory that the caller frees; a send only reads.
  [[noreturn]] void fail(const std::string& doing) {
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      if (i < expected_.size()) check_mpi(MPI_Cancel(&requests_[i]));
      check_mpi(MPI_Request_free(&requests_[i]));
    }
    forget();
    throw_timeout(doing, timeout_);
  }

  CommHandle comm_;
  double timeout_;
  int rank_ = 0, size_ = 1;
  std::vector<MPI_Request> requests_;  // of the call under way: receives first
  std::vector<int> expected_;          // bytes of each receive
  std::vector<MPI_Status> statuses_;
};

}  // namespace

std::unique_ptr<Transport> make_mpi_transport(MPI_Comm comm, double timeout_seconds) {
  return std::make_unique<MpiTransport>(duplicate(comm), timeout_seconds);
}

}  // namespace lockstep
