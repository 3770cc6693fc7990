// SPDX-License-Identifier: Apache-2.0
#include "collectives/board.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include <unistd.h>

#include "collectives/node_memory.hpp"
#include "runtime/base/error.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kHead = alignof(Seat);  // before the seats: whether somebody speaks
constexpr int kAttempts = 8;                  // of a reader that was overtaken
using Memory = std::shared_ptr<std::byte>;

std::size_t bytes_for(int seats) {
  return kHead + static_cast<std::size_t>(seats) * sizeof(Seat);
}

Memory heap(std::size_t bytes) {
  constexpr std::align_val_t kAlign{alignof(Seat)};
  auto* memory = static_cast<std::byte*>(::operator new(bytes, kAlign));
  std::memset(memory, 0, bytes);
  return {memory, [](std::byte* p) { ::operator delete(p, kAlign); }};
}

}  // namespace

static_assert(sizeof(CallRecord) % sizeof(std::uint64_t) == 0);
static_assert(std::is_trivially_copyable_v<CallRecord>);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

void Seat::take(int rank) {
  rank_ = rank;
  pid_ = getpid();
  start_ = look_at_process(pid_).start;
  gethostname(host_.data(), host_.size() - 1);
}

std::uint64_t Seat::enter(const CallRecord& record) {
  const std::uint64_t at = written_.load(std::memory_order_relaxed);
  publish(at, record);
  written_.store(at + 1, std::memory_order_release);
  return at;
}

// Release stores keep the order that the reader relies on; acquire loads keep the reader's.
void Seat::publish(std::uint64_t at, const CallRecord& record) {
  using Words = std::array<std::uint64_t, kWords>;
  const auto words = std::bit_cast<Words>(record);
  Slot& slot = slots_[at % kCalls];
  const std::uint64_t version = slot.version.load(std::memory_order_relaxed);
  slot.version.store(version + 1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < kWords; ++i)
    slot.words[i].store(words[i], std::memory_order_release);
  slot.version.store(version + 2, std::memory_order_release);
}

// Rewrites only the words that change: this is half of what the recorder costs.
void Seat::leave(std::uint64_t at, CallState state, double time) {
  constexpr std::size_t kLeft = offsetof(CallRecord, left) / sizeof(std::uint64_t);
  constexpr std::size_t kState = offsetof(CallRecord, state) / sizeof(std::uint64_t);
  if (at + kCalls < written_.load(std::memory_order_relaxed)) return;  // forgotten meanwhile
  Slot& slot = slots_[at % kCalls];
  const std::uint64_t version = slot.version.load(std::memory_order_relaxed);
  auto word = slot.words[kState].load(std::memory_order_relaxed);
  std::memcpy(reinterpret_cast<std::byte*>(&word) + offsetof(CallRecord, state) % sizeof word,
              &state, sizeof state);
  slot.version.store(version + 1, std::memory_order_relaxed);
  slot.words[kLeft].store(std::bit_cast<std::uint64_t>(time), std::memory_order_release);
  slot.words[kState].store(word, std::memory_order_release);
  slot.version.store(version + 2, std::memory_order_release);
}

bool Seat::read(std::uint64_t at, CallRecord& record) const {
  const Slot& slot = slots_[at % kCalls];
  std::array<std::uint64_t, kWords> words{};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t version = slot.version.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < kWords; ++i)
      words[i] = slot.words[i].load(std::memory_order_acquire);
    if (version % 2 == 0 && slot.version.load(std::memory_order_relaxed) == version) {
      record = std::bit_cast<CallRecord>(words);
      return true;
    }
  }
  return false;
}

std::vector<CallRecord> Seat::calls() const {
  std::vector<CallRecord> calls;
  const std::uint64_t end = written_.load(std::memory_order_acquire);
  const std::uint64_t begin = end > kCalls ? end - kCalls : 0;
  for (std::uint64_t at = end; at > begin; --at) {
    CallRecord record;
    if (read(at - 1, record)) calls.push_back(record);
  }
  return calls;
}

Board::Board(Memory memory, int seats, int mine) : memory_(std::move(memory)), mine_(mine) {
  voice_ = reinterpret_cast<std::atomic<bool>*>(memory_.get());
  for (int i = 0; i < seats; ++i) {
    seats_.push_back(reinterpret_cast<Seat*>(memory_.get() + bytes_for(i)));
  }
}

std::shared_ptr<Board> Board::of_threads(int ranks) {
  auto board = std::shared_ptr<Board>(new Board(heap(bytes_for(ranks)), ranks, 0));
  new (board->voice_) std::atomic<bool>(false);
  for (int r = 0; r < ranks; ++r)
    (new (&board->seat(r)) Seat)->take(r);
  board->visible_.assign(static_cast<std::size_t>(ranks), false);  // all are this process
  return board;
}

std::shared_ptr<Board> Board::of_node(MPI_Comm node_comm, int rank) {
  int seats = 1, mine = 0;
  check_mpi(MPI_Comm_size(node_comm, &seats));
  check_mpi(MPI_Comm_rank(node_comm, &mine));
  Memory memory = map_on_node(bytes_for(seats), node_comm, node_comm).memory;
  if (!memory) {
    if (mine == 0) {
      log_warning(
          "no shared memory for the flight recorder (is /dev/shm full?): a rank that does "
          "not answer will not be named");
    }
    memory = heap(bytes_for(1));
    seats = 1;
    mine = 0;
  }
  auto board = std::shared_ptr<Board>(new Board(std::move(memory), seats, mine));
  if (mine == 0) new (board->voice_) std::atomic<bool>(false);
  (new (&board->seat(mine)) Seat)->take(rank);
  check_mpi(MPI_Barrier(node_comm));
  board->look_around();
  check_mpi(MPI_Barrier(node_comm));  // nobody ends before all have looked
  return board;
}

void Board::look_around() {
  for (const Seat* s : seats_) {
    const Process process = look_at_process(s->pid());
    visible_.push_back(process.start != 0 && process.start == s->start());
  }
}

ProcessState Board::process(int i) const {
  if (!visible_[static_cast<std::size_t>(i)]) return ProcessState::unknown;
  const Process process = look_at_process(seat(i).pid());
  return process.start != 0 && process.start != seat(i).start() ? ProcessState::ended
                                                                : process.state;
}

}  // namespace lockstep
