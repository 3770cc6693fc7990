// SPDX-License-Identifier: Apache-2.0
#include "runtime/context/context.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <thread>
#include <utility>

#include "runtime/base/clock.hpp"
#include "runtime/context/reported_failure.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 30;  // MPI counts are int
constexpr int kGatherTag = 1;
constexpr std::chrono::milliseconds kLook{1};  // between two looks for others
constexpr double kAllSeconds = 30;             // for ranks that are known to come
constexpr int kLeastLooks = 200;  // not by the clock alone: a machine that stood still did for all

// Calls `move(offset, count)` for consecutive pieces that MPI can count.
template <class Move>
void in_pieces(std::size_t bytes, Move move) {
  for (std::size_t at = 0; at < bytes; at += kPiece) {
    move(at, static_cast<int>(std::min(kPiece, bytes - at)));
  }
}

int rank_in(MPI_Comm comm) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(comm, &rank));
  return rank;
}

int size_of_group(MPI_Comm comm) {
  int size = 0;
  check_mpi(MPI_Comm_size(comm, &size));
  return size;
}

}  // namespace

Context::Context()
    : world_(duplicate(MPI_COMM_WORLD)),
      control_(duplicate(MPI_COMM_WORLD)),
      node_comm_(split_by_node(MPI_COMM_WORLD)),
      rank_(rank_in(world())),
      size_(size_of_group(world())),
      local_rank_(rank_in(node_comm())),
      local_size_(size_of_group(node_comm())) {
  // The lowest rank of a node numbers it: as many nodes stand before it as lowest ranks do.
  const int lowest = local_rank_ == 0;
  check_mpi(MPI_Exscan(&lowest, &node_, 1, MPI_INT, MPI_SUM, world()));
  if (first()) node_ = 0;  // Exscan leaves rank 0 undefined
  check_mpi(MPI_Bcast(&node_, 1, MPI_INT, 0, node_comm()));
  check_mpi(MPI_Allreduce(&lowest, &nodes_, 1, MPI_INT, MPI_SUM, world()));
}

void Context::barrier() const {
  check_mpi(MPI_Barrier(world()));
}

std::string Context::broadcast(std::string bytes, int root) const {
  std::uint64_t length = bytes.size();
  check_mpi(MPI_Bcast(&length, 1, MPI_UINT64_T, root, world()));
  bytes.resize(length);
  in_pieces(length, [&](std::size_t at, int count) {
    check_mpi(MPI_Bcast(bytes.data() + at, count, MPI_BYTE, root, world()));
  });
  return bytes;
}

std::vector<std::string> Context::gather(const std::string& bytes) const {
  const std::uint64_t length = bytes.size();
  std::vector<std::uint64_t> lengths(first() ? size_ : 0);
  check_mpi(MPI_Gather(&length, 1, MPI_UINT64_T, lengths.data(), 1, MPI_UINT64_T, 0, world()));
  if (!first()) {
    in_pieces(length, [&](std::size_t at, int count) {
      check_mpi(MPI_Send(bytes.data() + at, count, MPI_BYTE, 0, kGatherTag, world()));
    });
    return {};
  }
  std::vector<std::string> all(size_);
  all[0] = bytes;
  for (int source = 1; source < size_; ++source) {
    all[source].resize(lengths[source]);
    in_pieces(lengths[source], [&](std::size_t at, int count) {
      check_mpi(MPI_Recv(all[source].data() + at, count, MPI_BYTE, source, kGatherTag, world(),
                         MPI_STATUS_IGNORE));
    });
  }
  return all;
}

void Context::together(const std::function<void()>& step) const {
  std::exception_ptr error;
  bool of_user = false;
  try {
    step();
  } catch (const ConfigError&) {
    error = std::current_exception();
    of_user = true;
  } catch (...) {
    error = std::current_exception();
  }
  const int mine = 2 * (error ? rank_ : size_) + of_user;  // the lowest rank, and its kind
  int said = mine;
  check_mpi(MPI_Allreduce(&mine, &said, 1, MPI_INT, MPI_MIN, world()));
  const int speaker = said / 2;
  if (speaker == size_) return;
  all_end_ = true;
  if (speaker == rank_) std::rethrow_exception(error);
  const std::string what = "rank " + std::to_string(speaker) + " has failed";
  if (said % 2 == 0) throw ReportedFailure(what);
  throw ReportedError(what);
}

// On a communicator of its own: ranks may come here out of the middle of any other exchange.
int Context::agree_to_end(bool has_message, double timeout_seconds) const {
  struct Vote {
    int mine, lowest;
  };
  auto vote = std::make_unique<Vote>(Vote{has_message ? rank_ : size_, size_});
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(
      MPI_Iallreduce(&vote->mine, &vote->lowest, 1, MPI_INT, MPI_MIN, control_.get(), &request));

  const double deadline = now() + (all_end_ ? kAllSeconds : timeout_seconds);
  for (int done = 0, looks = 0; !done; ++looks) {
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (!done && now() > deadline && looks > kLeastLooks) {
      static_cast<void>(vote.release());  // MPI may still write it; only abort() can follow
      return -1;
    }
    if (!done) std::this_thread::sleep_for(kLook);
  }
  return vote->lowest;
}

void Context::keep(std::shared_ptr<const void> what) const {
  std::lock_guard lock(kept_mutex_);
  kept_.push_back(std::move(what));
}

void Context::abort(int status) const {
  MPI_Abort(MPI_COMM_WORLD, status);
  std::abort();  // MPI_Abort does not return
}

}  // namespace lockstep
