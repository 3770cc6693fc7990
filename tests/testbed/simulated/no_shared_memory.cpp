// SPDX-License-Identifier: Apache-2.0
// Simulated ranks are one process on one core: nobody may spin on the memory of another. In place
// of shared memory (collectives/transports/shared.cpp, processes.cpp) the ranks of a node send
// messages.
#include <utility>

#include "collectives/transports/mpi.hpp"
#include "collectives/transports/processes.hpp"
#include "collectives/transports/shared.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

class MessagesOnly : public SharedSpace {
 public:
  explicit MessagesOnly(CommHandle comm) : comm_(std::move(comm)) {
    check_mpi(MPI_Comm_rank(comm_.get(), &rank_));
    check_mpi(MPI_Comm_size(comm_.get(), &size_));
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Crowding crowding() const override { return Crowding::own_core; }
  std::shared_ptr<std::byte> map(std::size_t) override { return nullptr; }
  bool can_read() const override { return false; }
  void read(std::byte*, int, std::uint64_t, std::size_t) const override {
    throw LogicError("simulated ranks do not read each other's memory");
  }
  std::unique_ptr<Transport> messages() const override {
    return make_mpi_transport(duplicate(comm_.get()));
  }
  std::unique_ptr<SharedSpace> split(int color, int key) override {
    return std::make_unique<MessagesOnly>(lockstep::split(comm_.get(), color, key));
  }

 private:
  CommHandle comm_;
  int rank_ = 0, size_ = 1;
};

}  // namespace

std::unique_ptr<SharedSpace> make_process_space(CommHandle node, MPI_Comm) {
  return std::make_unique<MessagesOnly>(std::move(node));
}

std::unique_ptr<Transport> make_shared_transport(std::unique_ptr<SharedSpace> space) {
  return space->messages();
}

}  // namespace lockstep
