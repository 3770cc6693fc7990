// SPDX-License-Identifier: Apache-2.0
// The boards of the other nodes, over messages of their own: a thread of every rank wakes now and
// then and answers for all ranks of its node, so one living rank per node is enough. Only where a
// job has several nodes and MPI allows threads.
#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "collectives/board.hpp"
#include "collectives/verdict.hpp"
#include "runtime/context/context.hpp"

namespace lockstep {

class RemoteBoards {
 public:
  // Collective. MPI must allow threads.
  RemoteBoards(const Context& context, std::shared_ptr<const Board> board);
  ~RemoteBoards();
  RemoteBoards(const RemoteBoards&) = delete;
  RemoteBoards& operator=(const RemoteBoards&) = delete;

  // Adds what other nodes tell within `seconds`.
  void ask(RankReports& known, double seconds);

 private:
  void collect(RankReports& known, double seconds);
  // What was sent; kept by the context, because MPI may read it to its end.
  struct Outbox;

  void serve();
  bool answer_one();

  std::shared_ptr<const Board> board_;
  CommHandle comm_;
  int rank_;
  std::vector<int> nodes_;
  std::shared_ptr<Outbox> questions_, answers_;  // of the asking and of the answering thread

  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;  // last: starts when all above is ready
};

}  // namespace lockstep
