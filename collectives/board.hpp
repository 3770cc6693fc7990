// SPDX-License-Identifier: Apache-2.0
// Where the ranks of a node write down what they call, so that each can read what the others do
// without their help, also when they are stopped or dead: one seat per rank with a ring of its
// latest calls, in POSIX shared memory (ranks are processes) or on the heap (ranks are threads).
//
// A seat has one writer, the thread that carries out the communication stream at that moment, and
// any number of readers. An entry is published by a sequence counter (odd while it is written), so
// writing costs some twenty plain stores and a reader tries again when it was overtaken.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectives/call.hpp"
#include "collectives/process_state.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep {

enum class CallState : std::uint8_t { under_way, complete, failed };

using GroupName = std::array<char, 24>;  // its beginning, with a zero behind

// One call of one rank. Plain words, because it lies in shared memory and travels.
struct CallRecord {
  std::uint64_t group = 0;   // the same number on all its ranks
  std::uint64_t number = 0;  // counts the collectives of a group, or its messages to or from a peer
  std::uint64_t fingerprint = 0;
  std::uint64_t count = 0;
  double entered = 0, left = 0;  // times of now()
  std::int32_t root = 0;         // or the peer, a rank of the group
  Collective what = Collective::barrier;
  DType dtype = DType::float32;
  ReduceOp op = ReduceOp::sum;
  CallState state = CallState::under_way;
  GroupName group_name{};
  std::uint64_t blocks = 0;  // of counts per rank that were given
  std::uint64_t memory = 0;  // a MemoryKind
};

class alignas(64) Seat {
 public:
  static constexpr int kCalls = 64;  // remembered

  // This process sits down as `rank` of the job.
  void take(int rank);
  int rank() const { return rank_; }
  int pid() const { return pid_; }
  std::uint64_t start() const { return start_; }
  const char* host() const { return host_.data(); }

  // Of the one writer. `at` is what enter() returned; `record` is the same call, now over.
  std::uint64_t enter(const CallRecord& record);
  void leave(std::uint64_t at, CallState state, double time);
  void get_up() { left_.store(true, std::memory_order_release); }

  bool left() const { return left_.load(std::memory_order_acquire); }
  std::vector<CallRecord> calls() const;  // latest first

 private:
  static constexpr std::size_t kWords = sizeof(CallRecord) / sizeof(std::uint64_t);
  struct Slot {
    std::atomic<std::uint64_t> version{0};  // odd while it is written
    std::array<std::atomic<std::uint64_t>, kWords> words{};
  };
  void publish(std::uint64_t at, const CallRecord& record);
  bool read(std::uint64_t at, CallRecord& record) const;

  std::int32_t rank_ = -1, pid_ = 0;
  std::uint64_t start_ = 0;
  std::array<char, 64> host_{};
  std::atomic<bool> left_{false};
  std::atomic<std::uint64_t> written_{0};
  std::array<Slot, kCalls> slots_{};
};

class Board {
 public:
  // Seats for ranks that are threads.
  static std::shared_ptr<Board> of_threads(int ranks);
  // One seat per rank of `node_comm`, in its order; this rank has taken its own. Collective. Where
  // the node has no shared memory to give, every rank has a board of its own, with one seat.
  static std::shared_ptr<Board> of_node(MPI_Comm node_comm, int rank);

  int size() const { return static_cast<int>(seats_.size()); }
  Seat& seat(int i) { return *seats_[static_cast<std::size_t>(i)]; }
  const Seat& seat(int i) const { return *seats_[static_cast<std::size_t>(i)]; }
  int mine() const { return mine_; }  // the seat of this rank; 0 for threads
  // What the process on a seat does; unknown where this rank cannot see it (a container each).
  ProcessState process(int i) const;
  // True for the first on this board who asks.
  bool claim_voice() { return !voice_->exchange(true); }

 private:
  Board(std::shared_ptr<std::byte> memory, int seats, int mine);
  void look_around();

  std::shared_ptr<std::byte> memory_;
  std::atomic<bool>* voice_;
  std::vector<Seat*> seats_;
  std::vector<bool> visible_;
  int mine_;
};

}  // namespace lockstep
