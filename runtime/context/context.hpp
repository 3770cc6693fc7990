// SPDX-License-Identifier: Apache-2.0
// What a rank knows of the job: its place among the ranks and nodes, and the control plane
// (barrier, broadcast and gather of bytes). Made once in main, passed down, dies last. It never
// moves a tensor.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/context/mpi.hpp"

namespace lockstep {

class Context {
 public:
  // MPI_Init_thread; without mpirun a job of one rank. One Context per process.
  Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  int local_rank() const { return local_rank_; }  // among the ranks of this node
  int local_size() const { return local_size_; }
  int node() const { return node_; }  // nodes are numbered in the order of their lowest rank
  int nodes() const { return nodes_; }
  bool first() const { return rank_ == 0; }
  // MPI_THREAD_MULTIPLE was granted: a communication worker may call MPI beside this thread.
  bool threads_allowed() const { return session_.threads_allowed(); }
  MPI_Comm world() const { return world_.get(); }
  MPI_Comm node_comm() const { return node_comm_.get(); }

  // Control plane; collective, called by every rank in the same order. Any length.
  void barrier() const;
  std::string broadcast(std::string bytes, int root = 0) const;
  std::vector<std::string> gather(
      const std::string& bytes) const;  // rank order; empty but on rank 0
  // Runs `step` on every rank. If it throws anywhere, every rank ends it by throwing: the lowest
  // failing rank its own error, all others ReportedError. So an error of setup is said once.
  void together(const std::function<void()>& step) const;

  // The end of a job that went wrong. agree_to_end waits until every rank has called it, so that
  // all can leave in order, and returns the lowest rank that has something to say (size() if none);
  // -1 when some rank has not come by the deadline, though this one has looked for it: it still
  // works, and only abort() can end it. After together() has failed every rank is to come, if late:
  // whoever gave up before could end the one that has something to say.
  int agree_to_end(bool has_message, double timeout_seconds) const;
  [[noreturn]] void abort(int status) const;
  // Keeps what MPI may still read or write, of operations that were given up, until MPI has ended.
  // From any thread.
  void keep(std::shared_ptr<const void> what) const;

 private:
  mutable bool all_end_ = false;  // together() has failed, on every rank
  mutable std::mutex kept_mutex_;
  mutable std::vector<std::shared_ptr<const void>> kept_;  // before the session: outlives it
  MpiSession session_;  // before them: MPI ends after the communicators are freed
  CommHandle world_, control_, node_comm_;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1, node_ = 0, nodes_ = 1;
};

}  // namespace lockstep
