// SPDX-License-Identifier: Apache-2.0
// What a rank knows of the job: its place among the ranks and nodes, and the control plane (barrier,
// broadcast and gather of bytes). Made once in main, passed down, dies last. It never moves a tensor.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/context/mpi.hpp"

namespace lockstep {

class Context {
 public:
  // MPI_Init_thread; without mpirun a job of one rank. One Context per process.
  Context();
  ~Context();  // MPI_Finalize
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  int local_rank() const { return local_rank_; }  // among the ranks of this node
  int local_size() const { return local_size_; }
  int node() const { return node_; }
  int nodes() const { return nodes_; }
  bool first() const { return rank_ == 0; }
  // MPI_THREAD_MULTIPLE was granted: a communication worker may call MPI beside this thread.
  bool threads_allowed() const { return threads_allowed_; }
  MPI_Comm world() const { return world_.get(); }

  // Control plane; collective, called by every rank in the same order.
  void barrier() const;
  std::string broadcast(const std::string& bytes, int root = 0) const;
  std::vector<std::string> gather(const std::string& bytes) const;  // rank order; empty but on rank 0
  // Runs `step` on every rank. If it throws anywhere, every rank ends it by throwing: the lowest
  // failing rank its own error, all others ReportedError. So an error of setup is said once.
  void together(const std::function<void()>& step) const;

 private:
  CommHandle world_{}, node_comm_{};
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1, node_ = 0, nodes_ = 1;
  bool threads_allowed_ = false;
};

}  // namespace lockstep
