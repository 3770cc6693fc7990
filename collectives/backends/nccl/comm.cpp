// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/nccl/comm.hpp"

#include <exception>
#include <vector>

#include "collectives/backoff.hpp"
#include "collectives/mpi_requests.hpp"
#include "collectives/wait_errors.hpp"
#include "runtime/base/clock.hpp"

namespace lockstep::nccl {

namespace {

constexpr double kGoodbyeSeconds = 5;  // until a communicator that others still use is aborted

ncclConfig_t non_blocking() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  return config;
}

// What the first rank says to all: whether it could make an id, and the id.
struct Invitation {
  ncclResult_t made = ncclSuccess;
  ncclUniqueId id{};
};

Invitation invitation(const Library& library, MPI_Comm control, int rank,
                      const Deadline& deadline) {
  Invitation word;
  if (rank == 0) word.made = library.get_unique_id(&word.id);
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibcast(&word, sizeof word, MPI_BYTE, 0, control, &request));
  std::vector<MPI_Status> statuses;
  if (!wait_all({&request, 1}, statuses, deadline)) throw_timeout("waiting for NCCL's unique id");
  return word;
}

}  // namespace

Comm::Comm(std::shared_ptr<const Library> library, int rank, int size)
    : library_(std::move(library)), rank_(rank), size_(size) {}

std::shared_ptr<Comm> Comm::make(std::shared_ptr<const Library> library, MPI_Comm control,
                                 const Deadline& deadline) {
  int rank = 0, size = 1;
  check_mpi(MPI_Comm_rank(control, &rank));
  check_mpi(MPI_Comm_size(control, &size));
  const std::shared_ptr<Comm> made(new Comm(std::move(library), rank, size));
  const Invitation word = invitation(*made->library_, control, rank, deadline);
  made->check(word.made);
  ncclConfig_t config = non_blocking();
  made->check(made->library_->init_rank(&made->comm_, size, word.id, rank, &config));
  made->expect_settled(deadline, "connecting the GPUs of the group by NCCL");
  return made;
}

Comm::~Comm() {
  if (!comm_ || !said_goodbye()) abort();
}

// Other ranks may still read what this one holds: finalizing waits for them, but not for ever.
bool Comm::said_goodbye() noexcept {
  if (std::uncaught_exceptions() > 0) return false;
  try {
    check(library_->finalize(comm_));
    if (!settle({now() + kGoodbyeSeconds})) return false;
    check(library_->destroy(std::exchange(comm_, nullptr)));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

std::shared_ptr<Comm> Comm::split(int color, int key, const Deadline& deadline) {
  const bool alone = color == kAlone;
  std::shared_ptr<Comm> part(new Comm(library_, 0, 1));
  ncclConfig_t config = non_blocking();
  check(library_->split(get(), alone ? NCCL_SPLIT_NOCOLOR : color, key, &part->comm_, &config));
  expect_settled(deadline, "splitting an NCCL communicator");
  if (alone) return nullptr;
  part->expect_settled(deadline, "connecting the GPUs of a part of the group by NCCL");
  part->check(library_->user_rank(part->comm_, &part->rank_));
  part->check(library_->count(part->comm_, &part->size_));
  return part;
}

void Comm::group(const Deadline& deadline, const std::function<void()>& calls) {
  check(library_->group_start());
  in_group_ = true;
  try {
    calls();
  } catch (...) {
    library_->group_end();
    in_group_ = false;
    abort();  // half a group would leave the others waiting
    throw;
  }
  in_group_ = false;
  check(library_->group_end());
  expect_settled(deadline, "launching an operation of NCCL");
}

void Comm::check(ncclResult_t code, Site at) {
  try {
    library_->check(code, comm_, at);
  } catch (const SystemError& error) {
    const std::string what = place() + ": " + error.what();
    abort();
    throw SystemError(what);
  }
}

ncclResult_t Comm::look(Site at) {
  ncclResult_t state = ncclSuccess;
  check(library_->get_async_error(get(), &state), at);
  check(state, at);
  return state;
}

void Comm::abort() noexcept {
  if (comm_ && !in_group_) library_->abort(std::exchange(comm_, nullptr));
}

ncclComm_t Comm::get() const {
  if (!comm_) throw SystemError(place() + ": its NCCL communicator was aborted");
  return comm_;
}

// False when something is still under way at the deadline.
bool Comm::settle(const Deadline& deadline, Site at) {
  Backoff backoff(deadline, Crowding::far);
  for (;;) {
    if (look(at) != ncclInProgress) return true;
    if (!backoff.pause()) return false;
  }
}

void Comm::expect_settled(const Deadline& deadline, const char* doing, Site at) {
  try {
    if (settle(deadline, at)) return;
  } catch (...) {  // of whoever looks after the wait
    abort();
    throw;
  }
  abort();
  throw_timeout(doing);
}

std::string Comm::place() const {
  return "rank " + std::to_string(rank_) + " of " + std::to_string(size_);
}

std::shared_ptr<std::byte> Comm::allocate(const std::shared_ptr<Comm>& comm, std::size_t bytes) {
  void *memory = nullptr, *handle = nullptr;
  comm->check(comm->library_->mem_alloc(&memory, bytes));
  const std::shared_ptr<std::byte> owned(
      static_cast<std::byte*>(memory),
      [library = comm->library_](std::byte* m) { library->mem_free(m); });
  comm->check(comm->library_->register_memory(comm->get(), memory, bytes, &handle));
  // NCCL unmaps at once, whatever the streams still do with it.
  return {owned.get(), [owned, comm, handle](std::byte*) {
            if (std::uncaught_exceptions() == 0) (void)cudaDeviceSynchronize();
            if (comm->comm_) comm->library_->deregister_memory(comm->comm_, handle);
          }};
}

}  // namespace lockstep::nccl
