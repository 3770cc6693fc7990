// SPDX-License-Identifier: Apache-2.0
#include "collectives/remote_boards.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>
#include <utility>

#include "collectives/flight_recorder.hpp"
#include "collectives/transports/nodes.hpp"
#include "runtime/base/clock.hpp"

namespace lockstep {

namespace {

constexpr int kQuestion = 1, kAnswer = 2;  // tags
constexpr std::chrono::milliseconds kWake{50}, kPoll{1};
constexpr int kAskedPerNode = 3;  // some of them may be stopped
constexpr std::size_t kCallsTold = 16;

// A RankReport as it travels: this, then `calls` records.
struct Header {
  std::int32_t rank, pid, calls;
  ProcessState process;
  bool left;
  double taken;
  char host[64];
};

void append(std::vector<std::byte>& bytes, const void* what, std::size_t size) {
  const std::size_t at = bytes.size();
  bytes.resize(at + size);
  std::memcpy(bytes.data() + at, what, size);
}

std::vector<std::byte> packed(const Board& board) {
  std::vector<std::byte> bytes;
  for (int i = 0; i < board.size(); ++i) {
    const RankReport report = report_of(board, i);
    const std::size_t calls = std::min(report.calls.size(), kCallsTold);
    Header header{};
    header.rank = report.rank;
    header.pid = report.pid;
    header.calls = static_cast<std::int32_t>(calls);
    header.process = report.process;
    header.left = report.left;
    header.taken = report.taken;
    report.host.copy(header.host, sizeof header.host - 1);
    append(bytes, &header, sizeof header);
    append(bytes, report.calls.data(), calls * sizeof(CallRecord));
  }
  return bytes;
}

void unpack(const std::vector<std::byte>& bytes, RankReports& known) {
  for (std::size_t at = 0; at + sizeof(Header) <= bytes.size();) {
    Header header;
    std::memcpy(&header, bytes.data() + at, sizeof header);
    at += sizeof header;
    RankReport report{.rank = header.rank,
                      .pid = header.pid,
                      .host = header.host,
                      .process = header.process,
                      .left = header.left,
                      .taken = header.taken,
                      .calls = {}};
    report.calls.resize(static_cast<std::size_t>(header.calls));
    std::memcpy(report.calls.data(), bytes.data() + at, report.calls.size() * sizeof(CallRecord));
    at += report.calls.size() * sizeof(CallRecord);
    known.emplace(header.rank, std::move(report));
  }
}

}  // namespace

struct RemoteBoards::Outbox {
  struct Message {
    std::vector<std::byte> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  std::list<Message> messages;

  void send(std::vector<std::byte> bytes, int to, int tag, MPI_Comm comm) {
    messages.push_back({std::move(bytes), MPI_REQUEST_NULL});
    Message& m = messages.back();
    // A rank that cannot be reached does not answer: no error of its own.
    MPI_Isend(m.bytes.data(), static_cast<int>(m.bytes.size()), MPI_BYTE, to, tag, comm,
              &m.request);
  }
  void forget_sent() {
    messages.remove_if([](Message& m) {
      int done = 0;
      return MPI_Test(&m.request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done;
    });
  }
};

RemoteBoards::RemoteBoards(const Context& context, std::shared_ptr<const Board> board)
    : board_(std::move(board)),
      comm_(duplicate(context.world())),
      rank_(context.rank()),
      nodes_(nodes_of(context.world())),
      questions_(std::make_shared<Outbox>()),
      answers_(std::make_shared<Outbox>()) {
  context.keep(questions_);
  context.keep(answers_);
  thread_ = std::thread([this] { serve(); });
}

RemoteBoards::~RemoteBoards() {
  {
    std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void RemoteBoards::serve() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kWake, [this] { return done_; })) {
    while (answer_one()) {
    }
    answers_->forget_sent();
  }
}

bool RemoteBoards::answer_one() {
  int found = 0;
  MPI_Status status;
  if (MPI_Iprobe(MPI_ANY_SOURCE, kQuestion, comm_.get(), &found, &status) != MPI_SUCCESS) {
    return false;
  }
  if (!found) return false;
  std::byte question{};
  if (MPI_Recv(&question, 1, MPI_BYTE, status.MPI_SOURCE, kQuestion, comm_.get(),
               MPI_STATUS_IGNORE) == MPI_SUCCESS) {
    answers_->send(packed(*board_), status.MPI_SOURCE, kAnswer, comm_.get());
  }
  return true;
}

// What is known without them must be said in any case.
void RemoteBoards::ask(RankReports& known, double seconds) {
  try {
    collect(known, seconds);
  } catch (const SystemError&) {
    return;
  }
}

void RemoteBoards::collect(RankReports& known, double seconds) {
  std::map<int, int> asked;  // by node
  for (int r = 0; r < static_cast<int>(nodes_.size()); ++r) {
    const int node = nodes_[static_cast<std::size_t>(r)];
    if (node == nodes_[static_cast<std::size_t>(rank_)] || asked[node]++ >= kAskedPerNode) continue;
    questions_->send({std::byte{1}}, r, kQuestion, comm_.get());
  }
  const double deadline = now() + seconds;
  while (known.size() < nodes_.size() && now() < deadline) {
    int found = 0, bytes = 0;
    MPI_Status status;
    check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kAnswer, comm_.get(), &found, &status));
    if (!found) {
      std::this_thread::sleep_for(kPoll);
      continue;
    }
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &bytes));
    std::vector<std::byte> answer(static_cast<std::size_t>(bytes));
    check_mpi(MPI_Recv(answer.data(), bytes, MPI_BYTE, status.MPI_SOURCE, kAnswer, comm_.get(),
                       MPI_STATUS_IGNORE));
    unpack(answer, known);
  }
}

}  // namespace lockstep
